"""Wiring and the web process: settings, URLs, the two paths of a request, the Celery app, health, metrics, logs.

May import billing, delivery and tenants; nothing imports it. Start with asgi.py (how a request comes in) and
celery/__init__.py (how work is handed to the workers).
"""
