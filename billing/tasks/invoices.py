"""Celery tasks of billing's invoices. No rule lives here: a task hands over to the file that knows."""

from celery import shared_task
from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from billing.invoices import daily, erasing, mails, reminding
from billing.invoices.sources import SOURCES


@shared_task(name="billing.draft_invoices", acks_late=True, ignore_result=True)
def draft_invoices() -> int:
    """Recompute drafts, and issue statements; returns how many drafts there are."""
    close_old_connections()
    return daily.run(SOURCES, timezone.now()).drafts


@shared_task(name="billing.mail_invoices", acks_late=True, ignore_result=True)
def mail_invoices() -> int:
    """Mail what was issued, and reminders of what is overdue; returns to how many addresses."""
    close_old_connections()
    now = timezone.now()
    return mails.send_pending(now) + reminding.send_due(SOURCES, now)


@shared_task(name="billing.forget_invoices", acks_late=True, ignore_result=True)
def forget_invoices() -> int:
    """Delete the documents of erased customers that the law no longer wants kept; returns of how many customers."""
    close_old_connections()
    return erasing.forget(now=timezone.now(), using=settings.OWNER_DATABASE)
