"""An HTTP/2 client (RFC 9113) for requests with small bodies and an exact account of what was sent. No Django, no
push.
"""
