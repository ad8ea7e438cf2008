"""Rows as the commands print them: what an operator may see, in JSON's types. No secret is in any of them."""

from datetime import datetime
from typing import Any, Final

from tenants.models import Credential, Customer, PushApp, Server, ServerKey

LIMITS: Final = (
    *("rate", "burst", "in_flight", "server_rate", "server_burst", "server_in_flight"),
    *("server_quota", "key_quota", "app_quota"),
)


def customer(row: Customer) -> dict[str, Any]:
    """A customer with what it is entitled to."""
    entitlement = getattr(row, "entitlement", None)
    return {
        "slug": row.slug,
        "name": row.name,
        "offer": row.offer,
        "status": row.status,
        "entitled": bool(entitlement and entitlement.active),
        "refusal": entitlement.refusal if entitlement else "",
        "may_grow": entitlement is None or entitlement.may_grow,
        "may_use_shared": bool(entitlement and entitlement.may_use_shared),
        "may_use_server_id": bool(entitlement and entitlement.may_use_server_id),
        "tls_required": entitlement is None or entitlement.tls_required,
        "limits": {name: getattr(entitlement, name, None) for name in LIMITS},
        "content": row.content,
        "contacts": row.contacts,
        "created_at": _time(row.created_at),
    }


def server(row: Server) -> dict[str, Any]:
    """A server with its public id."""
    known = list(row.server_ids.all())
    return {
        "id": str(row.public_id),
        "customer": row.customer.slug,
        "name": row.name,
        "networks": row.networks,
        "server_ids": [each.mattermost_id for each in known],
        "server_ids_waiting": [each.mattermost_id for each in known if each.confirmed_at is None],
        "created_at": _time(row.created_at),
    }


def server_id(row: Any) -> dict[str, Any]:
    """A server_id of selectors.server_ids(), with what speaks for and against it."""
    return {
        "server_id": row.mattermost_id,
        "customer": row.server.customer.slug,
        "server": row.server.name,
        "created_at": _time(row.created_at),
        "confirmed_at": _time(row.confirmed_at),
        "seen_with_its_keys_at": _time(row.seen_at),
        "seen_with_other_keys_at": _time(row.seen_elsewhere_at),
    }


def key(row: ServerKey) -> dict[str, Any]:
    """A key without its secret."""
    return {
        "prefix": row.prefix,
        "customer": row.server.customer.slug,
        "server": row.server.name,
        "name": row.name,
        "created_at": _time(row.created_at),
        "last_used_at": _time(row.last_used_at),
        "expires_at": _time(row.expires_at),
        "revoked_at": _time(row.revoked_at),
    }


def app(row: PushApp) -> dict[str, Any]:
    """An app; `customer` is null for a shared one."""
    return {
        "id": row.pk,
        "customer": row.customer.slug if row.customer else None,
        "label": row.label,
        "family": row.family,
        "topic": row.topic,
        "host": row.host,
        "default": row.is_default,
        "enabled": row.enabled,
        "created_at": _time(row.created_at),
    }


def credential(row: Credential) -> dict[str, Any]:
    """A credential without its secret."""
    return {
        "id": row.pk,
        "app": row.app_id,
        "label": row.app.label,
        "customer": row.app.customer.slug if row.app.customer else None,
        "slot": row.slot,
        "kind": row.kind,
        "key_id": row.key_id,
        "expires_at": _time(row.expires_at),
        "created_at": _time(row.created_at),
        "checked_at": _time(row.checked_at),
        "check_code": row.check_code,
        "refused_at": _time(row.refused_at),
        "refused_code": row.refused_code,
    }


def _time(value: datetime | None) -> str | None:
    return value.isoformat(timespec="seconds") if value else None
