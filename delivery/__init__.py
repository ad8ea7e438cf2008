"""The push itself: accept, queue, route, send, judge, answer, record.

May import tenants. Walk a push down its folders: ingest, queue, worker, providers, http2, log.
"""
