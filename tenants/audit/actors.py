"""The actor of a request, for the audit log."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from tenants.addresses import client_address
from tenants.audit.recording import Actor
from tenants.models import AuditEvent


def of(request: HttpRequest, user: AbstractBaseUser | AnonymousUser | None = None) -> Actor:
    """The person of a request, or `user` where the session does not know the person yet; nobody is the service."""
    who = user or request.user
    address = client_address(request)
    if not who.is_authenticated:
        return Actor(AuditEvent.Kind.SERVICE, "somebody who is not logged in", None, address)
    kind = AuditEvent.Kind.STAFF if getattr(who, "is_staff", False) else AuditEvent.Kind.MEMBER
    return Actor(kind, getattr(who, "email", "") or who.get_username(), who.pk, address)
