"""Celery tasks of tenants, scheduled by beat. No rule lives here: a task hands over to the file that knows."""

from celery import shared_task
from django.conf import settings
from django.db import close_old_connections

from tenants import rejections, services, strangers
from tenants.accounts import sessions
from tenants.credentials import expiry
from tenants.proofs import findings, sites, telling


@shared_task(name="tenants.warn_of_expiry", acks_late=True, ignore_result=True)
def warn_of_expiry() -> int:
    """Send e-mail about credentials that expire soon; returns about how many."""
    close_old_connections()
    return expiry.warn()


@shared_task(name="tenants.forget_sessions", acks_late=True, ignore_result=True)
def forget_sessions() -> int:
    """Delete the sessions whose time is over, with what is known of their browsers; returns how many."""
    close_old_connections()
    return sessions.forget()


@shared_task(name="tenants.forget_erased", acks_late=True, ignore_result=True)
def forget_erased() -> int:
    """Delete what the law no longer wants kept of erased customers, as the owner of the tables; returns how much."""
    close_old_connections()
    return services.erased_forget(using=settings.OWNER_DATABASE)


@shared_task(name="tenants.forget_rejections", acks_late=True, ignore_result=True)
def forget_rejections() -> int:
    """Delete what was noted of rejected requests and is older than the delivery log; returns how much."""
    close_old_connections()
    return rejections.forget() + strangers.forget()


@shared_task(name="tenants.look_at_sites", acks_late=True, ignore_result=True)
def look_at_sites() -> int:
    """Tell what was found of servers, and fetch the sites that are due; returns how many were asked."""
    close_old_connections()
    telling.tell()
    findings.look_again()
    return sites.fetch_due()
