"""Celery tasks of billing, scheduled by beat: a module for each of its parts; Celery finds them here."""

from billing.tasks import incidents, invoices, sla, subscriptions, usage

__all__ = ["incidents", "invoices", "sla", "subscriptions", "usage"]
