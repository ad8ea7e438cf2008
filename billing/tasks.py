"""Celery tasks of billing, scheduled by beat. No rule lives here: a task hands over to the file that knows."""
