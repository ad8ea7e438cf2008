"""Schema of a customer's export: one table, file by file and field by field, with the descriptions for README.txt.

Invariant: what is not named here is not in the archive; LEFT_OUT says why of each field that is not, and a test sees to
it that a new field is in one of the two.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from delivery.models import Delivery, Hour, Minute
from delivery.rollups.buckets import EDGES, Histogram, add
from tenants.fence import TenantModel
from tenants.models import (
    AuditEvent,
    Credential,
    Customer,
    Entitlement,
    Invitation,
    Membership,
    PushApp,
    Server,
    ServerId,
    ServerKey,
    Sighting,
)
from tenants.providers.table import FAMILY_OF_KIND, PROVIDERS


class Field(NamedTuple):
    """A member of each line: its name, what it means, where it is found from the row (default: by its name), and what
    is made of it there."""

    name: str
    description: str
    path: str = ""
    convert: Callable[[Any], Any] = lambda value: value

    @property
    def source(self) -> str:
        """The lookup of Django's values()."""
        return self.path or self.name


class Kind(NamedTuple):
    """A file of the archive: its name, what a line is, the model and its way to the customer's id, and the fields."""

    file: str
    description: str
    model: type[TenantModel]
    owner: str
    fields: tuple[Field, ...]


_ID: Final = Field("id", "what other files refer to")
_CREATED: Final = Field("created_at", "when it was made")


def _latencies(packed: Iterable[int]) -> list[list[int | None]]:
    histogram: Histogram = {}
    add(histogram, packed)
    return [[EDGES[bucket] if bucket < len(EDGES) else None, count] for bucket, count in sorted(histogram.items())]


_LATENCIES: Final = "as [milliseconds, n]: so many took less than that, and as long as the one before or longer"
_COUNTS: Final = (
    Field("at", "when the minute or hour begins, by accepted_at in UTC"),
    Field("server_id", "the server, by its id in servers.jsonl"),
    Field("app_id", "the app, as in deliveries.jsonl; 0: none was found"),
    Field("family", "apns, fcm, or other where the platform names neither"),
    Field("type", "as the server sent it; other: none that Mattermost has"),
    *(Field(name, "as in deliveries.jsonl") for name in ("outcome", "code", "attribution", "counts")),
    Field("pushes", "how many there were"),
    Field("acked", "how many of them a phone acknowledged"),
    Field("handoff", f"from acceptance to the end, {_LATENCIES}", "", _latencies),
    Field("receipt", f"from acceptance to the phone's receipt, {_LATENCIES}", "", _latencies),
)
_COUNTED: Final = "Lines with the same at and the same names add up."

KINDS: Final = (
    Kind(
        "customer.jsonl",
        "The customer itself: one line.",
        Customer,
        "id",
        (
            _ID,
            Field("name", "what people call it"),
            Field("slug", "its name in commands and addresses"),
            Field("status", "active, or suspended: no push is taken"),
            Field("offer", "hpns, eas or tpns: what was agreed on"),
            Field("content", "what of a push's text Apple and Google get to see: as_sent, generic or id_only"),
            Field("contacts", "who gets e-mail about credentials"),
            _CREATED,
        ),
    ),
    Kind(
        "entitlement.jsonl",
        "What the agreement allows: one line. An empty limit is none.",
        Entitlement,
        "customer_id",
        (
            Field("active", "whether pushes are taken"),
            Field("may_use_shared", "whether the operator's own apps can be pushed to"),
            Field("tls_required", "whether keys are refused over plain HTTP"),
            Field("may_use_server_id", "whether a server may push by its server_id alone"),
            Field("rate", "pushes a second of all servers together"),
            Field("burst", "pushes at once after a quiet time"),
            Field("in_flight", "pushes that wait for their answer at a time"),
            Field("server_rate", "as rate, for each server"),
            Field("server_burst", "as burst, for each server"),
            Field("server_in_flight", "as in_flight, for each server"),
            Field("updated_at", "when it last changed"),
        ),
    ),
    Kind(
        "people.jsonl",
        "Your people: one line for each member.",
        Membership,
        "customer_id",
        (
            Field("user_id", "the person; actor_id in audit_log.jsonl"),
            Field("name", "first name, as the person gave it", "user__first_name"),
            Field("last_name", "last name, as the person gave it", "user__last_name"),
            Field("email", "the address that the person logs in with", "user__email"),
            Field("role", "owner, admin or viewer"),
            _CREATED,
        ),
    ),
    Kind(
        "invitations.jsonl",
        "Invitations, also those that were accepted or withdrawn. The link is not in it: only a hash of it is kept.",
        Invitation,
        "customer_id",
        (
            _ID,
            Field("email", "who is invited"),
            Field("role", "as what"),
            Field("invited_by", "the user_id of who did, empty for the operator", "invited_by_id"),
            _CREATED,
            Field("expires_at", "when the link ends"),
            Field("accepted_at", "when it was accepted"),
            Field("withdrawn_at", "when it was withdrawn"),
        ),
    ),
    Kind(
        "servers.jsonl",
        "Your Mattermost servers.",
        Server,
        "customer_id",
        (
            _ID,
            Field("public_id", "its id in the addresses of pages"),
            Field("name", "what you call it"),
            Field("networks", "the networks that its keys are taken from; empty: from anywhere"),
            Field("anonymous", "whether pushes without a key count as its own: the operator's test service"),
            _CREATED,
        ),
    ),
    Kind(
        "server_ids.jsonl",
        "The server_ids that are registered for your servers.",
        ServerId,
        "server__customer_id",
        (
            Field("server_id", "the server, by its id in servers.jsonl"),
            Field("mattermost_id", "the server_id that its pushes carry"),
            _CREATED,
            Field("confirmed_at", "when the operator confirmed it; empty: it waits, and speaks for no server"),
        ),
    ),
    Kind(
        "keys.jsonl",
        "The keys of your servers. The keys themselves are not in it: only a hash of each is kept.",
        ServerKey,
        "server__customer_id",
        (
            _ID,
            Field("server_id", "the server, by its id in servers.jsonl"),
            Field("prefix", "the beginning of the key, after hk_"),
            Field("name", "where it is used"),
            _CREATED,
            Field("last_used_at", "when it was last used, to the minute"),
            Field("expires_at", "when it ends"),
            Field("revoked_at", "when it was revoked"),
        ),
    ),
    Kind(
        "sightings.jsonl",
        "With which server_ids your keys were seen.",
        Sighting,
        "key__server__customer_id",
        (
            Field("key_id", "the key, by its id in keys.jsonl"),
            Field("mattermost_id", "the server_id that came with it"),
            Field("first_at", "when for the first time"),
            Field("last_at", "when last, to the minute"),
        ),
    ),
    Kind(
        "apps.jsonl",
        "Your own apps.",
        PushApp,
        "customer_id",
        (
            _ID,
            Field("label", "the head of the platform that its pushes carry"),
            Field("family", " or ".join(f"{row.family} ({row.name})" for row in PROVIDERS.values())),
            Field("topic", "the bundle id or package name"),
            Field("host", "which of Apple's hosts its tokens belong to"),
            Field("is_default", "whether it takes pushes that no label matches"),
            Field("enabled", "whether it is in use"),
            _CREATED,
        ),
    ),
    Kind(
        "credentials.jsonl",
        "The credentials of your apps. The secrets are not in it: you have them from Apple and Google.",
        Credential,
        "app__customer_id",
        (
            _ID,
            Field("app_id", "the app, by its id in apps.jsonl"),
            Field("slot", "current: in use; next: waits to take its place"),
            Field("kind", " or ".join(", ".join(FAMILY_OF_KIND).rsplit(", ", 1))),
            Field("key_id", "which key it is"),
            Field("expires_at", "when it ends"),
            _CREATED,
            Field("checked_at", "when Apple or Google were last asked about it"),
            Field("check_code", "what they said"),
            Field("refused_at", "since when they refuse it"),
            Field("refused_code", "how they refuse it"),
        ),
    ),
    Kind(
        "audit_log.jsonl",
        "Who did what, the oldest first.",
        AuditEvent,
        "customer_id",
        (
            _ID,
            Field("at", "when"),
            Field("actor_kind", "member, staff (the operator's), command or service"),
            Field("actor_id", "the person, by user_id"),
            Field("actor", "who: an e-mail address, or the name of a command"),
            Field("address", "the network address it came from"),
            Field("action", "what, as noun.verb"),
            Field("target", "to what"),
            Field("target_id", "its id"),
            Field("details", "what changed"),
        ),
    ),
    Kind(
        "deliveries.jsonl",
        "What became of each push, the oldest first, of the days for which that is kept. No text of a push is in it, "
        "and no device token: neither is kept.",
        Delivery,
        "customer_id",
        (
            Field("trace", "the trace id that your server's log has, too"),
            Field("accepted_at", "when the push came"),
            Field("ended_at", "when it was known what became of it"),
            Field("server_id", "the server, by its id in servers.jsonl"),
            Field("key_id", "the key, by its id in keys.jsonl"),
            Field("app_id", "the app; the operator's are not in apps.jsonl"),
            Field("platform", "as the server sent it"),
            Field("type", "as the server sent it"),
            Field("sub_type", "as the server sent it"),
            Field("ack_id", "as the server sent it"),
            Field("post_id", "as the server sent it"),
            Field("mattermost_id", "the server_id that the push carried"),
            Field("device", "a keyed fingerprint of the device token: tells devices apart, and no more"),
            Field("size", "bytes of the push"),
            Field("outcome", "sent, gone, refused, unknown, failed, expired or lost"),
            Field("code", "the stable code of the outcome"),
            Field("answer", "what the server was told: OK, REMOVE or FAIL"),
            Field("attribution", "whose affair it was: ours, provider, customer or device"),
            Field("counts", "whether it counts in the SLA"),
            Field("attempts", "each request to Apple or Google: at (unix time), host, status, reason, ms"),
            Field("count", "how many pushes the line stands for"),
        ),
    ),
    Kind(
        "hours.jsonl",
        f"Counts of your pushes by hour, the oldest first, which are kept for longer than each push. {_COUNTED}",
        Hour,
        "customer_id",
        _COUNTS,
    ),
    Kind(
        "minutes.jsonl", f"The same by minute, as far back as that is kept. {_COUNTED}", Minute, "customer_id", _COUNTS
    ),
)

_ONE_CUSTOMER: Final = "the whole archive is one customer's"
LEFT_OUT: Final[dict[tuple[str, str], str]] = {
    ("Entitlement", "id"): "nothing refers to it",
    ("Entitlement", "customer"): _ONE_CUSTOMER,
    ("Membership", "id"): "nothing refers to it",
    ("Membership", "customer"): _ONE_CUSTOMER,
    ("Invitation", "customer"): _ONE_CUSTOMER,
    ("Invitation", "digest"): "a digest",
    ("Server", "customer"): _ONE_CUSTOMER,
    ("ServerId", "id"): "nothing refers to it",
    ("ServerKey", "digest"): "a digest",
    ("Sighting", "id"): "nothing refers to it",
    ("PushApp", "customer"): _ONE_CUSTOMER,
    ("Credential", "sealed"): "the secret",
    ("Credential", "warned_days"): "bookkeeping of e-mails",
    ("AuditEvent", "customer_id"): _ONE_CUSTOMER,
    ("Delivery", "customer"): _ONE_CUSTOMER,
    **{(name, "customer"): _ONE_CUSTOMER for name in ("Minute", "Hour")},
    **{(name, "grain"): "sums of the other lines are left out" for name in ("Minute", "Hour")},
}


def line(kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
    """A row of values() as it stands in the archive."""
    return {field.name: field.convert(row[field.source]) for field in kind.fields}
