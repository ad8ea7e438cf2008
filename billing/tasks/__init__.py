"""Celery tasks of billing, scheduled by beat: a module for each of its parts; Celery finds them here."""

from billing.tasks import incidents, sla, subscriptions

__all__ = ["incidents", "sla", "subscriptions"]
