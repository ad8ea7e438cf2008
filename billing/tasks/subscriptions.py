"""Celery tasks of billing's subscriptions. No rule lives here: a task hands over to the file that knows."""

from celery import shared_task
from django.db import close_old_connections
from django.utils import timezone

from billing.subscriptions import applying, by_licence, mailing


@shared_task(name="billing.apply_subscriptions", acks_late=True, ignore_result=True)
def apply_subscriptions() -> int:
    """Begin what proven licences include, and let what has come of subscriptions be in force; of how many customers."""
    close_old_connections()
    now = timezone.now()
    return by_licence.run(now) + applying.run(now)


@shared_task(name="billing.mail_subscriptions", acks_late=True, ignore_result=True)
def mail_subscriptions() -> int:
    """Send e-mail about subscriptions that is due; how many."""
    close_old_connections()
    return mailing.send_due(timezone.now())
