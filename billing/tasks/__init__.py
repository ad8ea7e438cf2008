"""Celery tasks of billing, scheduled by beat: a module for each of its parts; Celery finds them here."""

from billing.tasks import incidents, sla, subscriptions, usage

__all__ = ["incidents", "sla", "subscriptions", "usage"]
