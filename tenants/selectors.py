"""Finds the rows that commands name. Each finder raises ProblemError with what to look at when there is none."""

import uuid

from django.db.models import OuterRef, Q, QuerySet, Subquery

from tenants.models import Customer, PushApp, Server, ServerId, ServerKey, Sighting
from tenants.problem import ProblemError


def customer(slug: str) -> Customer:
    """The customer of this slug."""
    found = Customer.objects.filter(slug=slug).first()
    if found is None:
        raise ProblemError(f"there is no customer {slug!r}: see `customer list`")
    return found


def server(customer: Customer, name: str) -> Server:
    """The customer's server of this name or public id."""
    wanted = Q(name=name)
    try:
        wanted |= Q(public_id=uuid.UUID(name))
    except ValueError:
        pass
    found = Server.objects.filter(wanted, customer=customer, removed_at=None).first()
    if found is None:
        raise ProblemError(f"{customer.slug} has no server {name!r}: see `server list`")
    return found


def server_id(server: Server, text: str) -> ServerId:
    """The server's server_id of this text."""
    found = ServerId.objects.filter(server=server, mattermost_id=text).select_related("server").first()
    if found is None:
        raise ProblemError(f"{server.name} has no server_id {text!r}: see `server list`")
    return found


def server_ids() -> QuerySet[ServerId]:
    """All server_ids, each with when a key of its server came with it last (`seen_at`), and when a key of any other
    server did (`seen_elsewhere_at`): what staff look at before they confirm one."""
    seen = Sighting.objects.filter(mattermost_id=OuterRef("mattermost_id")).order_by("-last_at").values("last_at")
    return ServerId.objects.select_related("server__customer").annotate(
        seen_at=Subquery(seen.filter(key__server=OuterRef("server"))[:1]),
        seen_elsewhere_at=Subquery(seen.exclude(key__server=OuterRef("server"))[:1]),
    )


def key(prefix: str) -> ServerKey:
    """The key of this prefix; its head (hk_12345678_...) is understood, too."""
    found = ServerKey.objects.filter(prefix=prefix.removeprefix("hk_")[:8]).select_related("server__customer").first()
    if found is None:
        raise ProblemError("there is no key with this prefix: see `key list`")
    return found


def app(customer: Customer | None, label: str) -> PushApp:
    """The enabled app of this label: the customer's own, or without one the operator's shared app."""
    found = PushApp.objects.filter(customer=customer, label=label, enabled=True).first()
    if found is None:
        owner = f"{customer.slug} has no own app" if customer else "there is no shared app"
        raise ProblemError(f"{owner} with the label {label!r}: see `app list`")
    return found


def any_app(customer: Customer | None, label: str) -> PushApp:
    """The app of this label, of several the latest, whether it is enabled or not."""
    found = PushApp.objects.filter(customer=customer, label=label, removed_at=None).order_by("-enabled", "-pk").first()
    return app(customer, label) if found is None else found
