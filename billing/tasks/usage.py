"""Celery tasks of billing's usage. No rule lives here: a task hands over to the file that knows."""

from celery import shared_task
from django.db import close_old_connections
from django.utils import timezone

from billing.usage import closing, sources, watching


@shared_task(name="billing.watch_usage", acks_late=True, ignore_result=True)
def watch_usage() -> int:
    """Count the running month of all customers, with what follows for quotas; returns how many."""
    close_old_connections()
    return watching.watch_all(timezone.now(), sources.current())


@shared_task(name="billing.close_usage", acks_late=True, ignore_result=True)
def close_usage() -> int:
    """Close the months that have ended, and count the latest ones again; returns how many rows were written."""
    close_old_connections()
    return closing.close_all(timezone.now(), sources.current())
