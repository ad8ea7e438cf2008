"""The push itself: accept, queue, route, send, judge, answer, record.

May import tenants. Start with api.py and walk down: intake, outbox, tasks, dispatch, senders, log.
"""
