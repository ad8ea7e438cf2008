"""Wiring and the front door: settings, URLs, the two doors of the web process, the Celery app, health, metrics, logs.

May import billing, delivery and tenants; nothing imports it. Start with asgi.py (how a request comes in) and
celery/__init__.py (how work is handed to the workers).
"""
