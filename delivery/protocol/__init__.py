"""What travels between a Mattermost server and us: wire format, Go's JSON rules, and what of a push is passed on.
Pure.
"""
