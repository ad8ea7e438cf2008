"""Celery tasks of billing's sla. No rule lives here: a task hands over to the file that knows."""

from celery import shared_task
from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from billing.sla import forgetting, running
from billing.sla import sources as sla_sources


@shared_task(name="billing.sla", acks_late=True, ignore_result=True)
def sla() -> int:
    """Write the SLA's minutes, seal its days, close its months; returns how many rows changed."""
    close_old_connections()
    now = timezone.now()
    running.check_clock(now)
    return running.round_(now, sla_sources.wired()).minutes


@shared_task(name="billing.forget_sla", acks_late=True, ignore_result=True)
def forget_sla() -> int:
    """Delete minutes and files of the SLA's ledger that are past their time, as the owner of the tables."""
    close_old_connections()
    return forgetting.forget(timezone.now(), using=settings.OWNER_DATABASE)
