"""What the timetable has done for tenants. No rule lives here: a task hands over to the file that knows."""

from celery import shared_task
from django.db import close_old_connections

from tenants import expiry


@shared_task(name="tenants.warn_of_expiry", acks_late=True, ignore_result=True)
def warn_of_expiry() -> int:
    """Send e-mail about credentials that expire soon; returns about how many."""
    close_old_connections()
    return expiry.warn()
