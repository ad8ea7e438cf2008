"""Fingerprints of each customer's rows, made by PostgreSQL: by them a process finds what has changed since it read.

A fingerprint is the exclusive or of the hashes of all rows of a customer that the directory is made of, over the
columns that it is made of. What is due to time alone (a spare credential that expires) changes it as well, since the
rows are taken by the same conditions as in `reading.py`.
"""

from typing import Any, Final

from django.conf import settings
from django.contrib.postgres.aggregates import BitXor
from django.db.models import BigIntegerField, CharField, F, Func, QuerySet, Value
from django.db.models.functions import Cast

from tenants.directory import listing, reading
from tenants.models import Entitlement, PushApp, Server, ServerId, ServerKey

_ENTITLEMENT: Final = (
    "customer__status",
    "customer__offer",
    "customer__content",
    "customer__canary",
    "active",
    "may_use_shared",
    "tls_required",
    "may_use_server_id",
    "rate",
    "burst",
    "in_flight",
    "server_rate",
    "server_burst",
    "server_in_flight",
    "refusal",
)
_KEY: Final = ("pk", "server_id", "prefix", "digest", "expires_at", "revoked_at")
_SERVER_ID: Final = ("pk", "server_id", "mattermost_id", "confirmed_at")
_SERVER: Final = ("pk", "networks", "anonymous", "disabled_at", "removed_at")
_APP: Final = ("pk", "label", "family", "topic", "host", "is_default", "enabled")


def read() -> dict[int, int]:
    """By customer (reading.SHARED: the shared apps), with nine queries of a row for each customer. Raises
    django.db.Error."""
    alias = settings.DIRECTORY_DATABASE
    tables: tuple[tuple[str, QuerySet[Any], str, tuple[str, ...]], ...] = (
        ("entitlement", Entitlement.objects.using(alias), "customer_id", _ENTITLEMENT),
        ("server", Server.objects.using(alias), "customer_id", _SERVER),
        ("key", ServerKey.objects.using(alias), "server__customer_id", _KEY),
        ("app", PushApp.objects.using(alias).filter(removed_at=None), "customer_id", _APP),
        (
            "credential",
            reading.standing_credentials(alias),
            "app__customer_id",
            ("pk", "app_id", "slot", "kind", "sealed", "signs_since"),
        ),
        (
            "proof",
            listing.proofs(alias),
            "key__server__customer_id",
            ("pk", "mattermost_id", "public_key", "proven_at"),
        ),
        ("site", listing.sites(alias), "server__customer_id", ("pk", "mattermost_id", "public_key")),
        ("remove_hold", reading.remove_holds(alias), "customer_id", ("pk", "held_at", "released_at")),
        ("server_id", ServerId.objects.using(alias), "server__customer_id", _SERVER_ID),
    )
    found: dict[int, int] = {}
    for name, rows, customer, columns in tables:
        groups = rows.order_by().values_list(customer).annotate(print=BitXor(_hash(name, columns)))
        for customer_id, print_ in groups:
            key = customer_id or reading.SHARED
            found[key] = found.get(key, 0) ^ print_
    return found


def _hash(name: str, columns: tuple[str, ...]) -> Func:
    """A row's hash, of 64 bits: the name of the table is in it, and a column without a value is not one left out."""
    row = Func(Value(name, output_field=CharField()), *(F(each) for each in columns), function="ROW")
    return Func(
        Cast(row, output_field=CharField()), Value(0), function="hashtextextended", output_field=BigIntegerField()
    )
