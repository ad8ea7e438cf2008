"""Deletion of expired sessions: Django keeps them until somebody deletes them."""

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone


def forget() -> int:
    """Delete expired sessions, and what is remembered of browsers whose session is gone; returns how many sessions."""
    with transaction.atomic():
        deleted, _ = Session.objects.filter(expire_date__lt=timezone.now()).delete()
        UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()
    return deleted
