"""Schema of a customer's export: one table, file by file and field by field, with the descriptions for README.txt.

Invariant: what is not named here is not in the archive; LEFT_OUT says why of each field that is not, MODELS_LEFT_OUT of
each table, and a test sees to it that what is new is in one of them.
"""

from typing import Any, Final

from hpns.departure.export.device_kinds import DEVICES
from hpns.departure.export.invoice_kinds import INVOICES
from hpns.departure.export.licence_kinds import LICENCES
from hpns.departure.export.proof_kinds import PROOFS
from hpns.departure.export.pushes import PUSHES
from hpns.departure.export.schema import ID, Field, Kind
from hpns.departure.export.sla_kinds import SLA, SLA_LEFT_OUT
from hpns.departure.export.subscription_kinds import LEFT_OUT as NOT_OF_SUBSCRIPTIONS
from hpns.departure.export.subscription_kinds import SUBSCRIPTIONS
from hpns.departure.export.usage_kinds import LEFT_OUT_USAGE, USAGE
from tenants.models import (
    AuditEvent,
    Credential,
    Customer,
    Entitlement,
    Invitation,
    Membership,
    PushApp,
    Rejection,
    Server,
    ServerId,
    ServerKey,
    Sighting,
)
from tenants.providers.table import FAMILY_OF_KIND, PROVIDERS

_CREATED: Final = Field("created_at", "when it was made")


KINDS: Final = (
    Kind(
        "customer.jsonl",
        "The customer itself: one line.",
        Customer,
        "id",
        (
            ID,
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
            Field("server_quota", "servers that you may have"),
            Field("key_quota", "keys in use that you may have, and keys that you may make in a day"),
            Field("app_quota", "enabled apps that you may have, and apps that you may add in a day"),
            Field("refusal", "the code that pushes are refused with; empty: they are served"),
            Field("may_grow", "whether servers, keys and apps can be added"),
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
            ID,
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
            ID,
            Field("public_id", "its id in the addresses of pages"),
            Field("name", "what you call it"),
            Field("networks", "the networks that its keys are taken from; empty: from anywhere"),
            Field("anonymous", "whether pushes without a key count as its own: the operator's test service"),
            _CREATED,
            Field("disabled_at", "since when it is switched off"),
            Field("removed_at", "when it was removed from your pages"),
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
            ID,
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
        "rejections.jsonl",
        "Requests that seem to be of your servers and were refused or could not be read, of the last days.",
        Rejection,
        "key__server__customer_id",
        (
            Field("key_id", "the key, by its id in keys.jsonl"),
            Field("code", "the stable code of the reason"),
            Field("address", "where they came from; empty: not known, or several"),
            Field("count", "how many"),
            Field("first_at", "when the first one came"),
            Field("last_at", "when the last one came"),
            Field("encrypted", "whether the last one came over HTTPS"),
            Field("tls", "its version of TLS, where known"),
            Field("guessed", "whether none named the key, and the server is a guess by server ID or address"),
        ),
    ),
    Kind(
        "apps.jsonl",
        "Your own apps.",
        PushApp,
        "customer_id",
        (
            ID,
            Field("label", "the head of the platform that its pushes carry"),
            Field("family", " or ".join(f"{row.family} ({row.name})" for row in PROVIDERS.values())),
            Field("topic", "the bundle id or package name"),
            Field("host", "which of Apple's hosts its tokens belong to"),
            Field("is_default", "whether it takes pushes that no label matches"),
            Field("enabled", "whether it is in use"),
            _CREATED,
            Field("removed_at", "when it was removed from your pages"),
        ),
    ),
    Kind(
        "credentials.jsonl",
        "The credentials of your apps. The secrets are not in it: you have them from Apple and Google.",
        Credential,
        "app__customer_id",
        (
            ID,
            Field("app_id", "the app, by its id in apps.jsonl"),
            Field("slot", "current: in use; next: waits to take its place"),
            Field("kind", " or ".join(", ".join(FAMILY_OF_KIND).rsplit(", ", 1))),
            Field("key_id", "which key it is"),
            Field("expires_at", "when it ends"),
            _CREATED,
            Field("signs_since", "when it began to sign for its app as the app is now"),
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
            ID,
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
    *INVOICES,
    *LICENCES,
    *PUSHES,
    *DEVICES,
    *SLA,
    *SUBSCRIPTIONS,
    *USAGE,
    *PROOFS,
)

_ONE_CUSTOMER: Final = "the whole archive is one customer's"
MODELS_LEFT_OUT: Final = {"Day": "sums of the lines of hours.jsonl"}
LEFT_OUT: Final[dict[tuple[str, str], str]] = {
    ("Customer", "canary"): "the service's own alone, which is nobody's to take along",
    **{(name, "customer"): _ONE_CUSTOMER for name in ("BillingProfile", "InvoiceDraft")},
    **{(name, "customer_id"): _ONE_CUSTOMER for name in ("Invoice", "LedgerEntry")},
    **{(name, "id"): "nothing refers to it" for name in ("BillingProfile", "InvoiceFile", "InvoiceMail")},
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
    ("Rejection", "id"): "nothing refers to it",
    ("RemoveHold", "id"): "nothing refers to it",
    ("RemoveHold", "customer"): _ONE_CUSTOMER,
    ("PushApp", "customer"): _ONE_CUSTOMER,
    ("Credential", "sealed"): "the secret",
    ("Credential", "warned_days"): "bookkeeping of e-mails",
    ("AuditEvent", "customer_id"): _ONE_CUSTOMER,
    ("LicenceProof", "customer"): _ONE_CUSTOMER,
    ("LicenceCase", "customer"): _ONE_CUSTOMER,
    ("Delivery", "customer"): _ONE_CUSTOMER,
    ("Receipt", "customer"): _ONE_CUSTOMER,
    **{(name, "customer"): _ONE_CUSTOMER for name in ("Minute", "Hour")},
    **{(name, "grain"): "sums of the other lines are left out" for name in ("Minute", "Hour")},
    ("Device", "id"): "nothing refers to it",
    ("Device", "customer"): _ONE_CUSTOMER,
    ("PlatformSighting", "id"): "nothing refers to it",
    ("PlatformSighting", "customer"): _ONE_CUSTOMER,
    ("ActiveDevice", "id"): "nothing refers to it",
    ("ActiveDevice", "customer"): _ONE_CUSTOMER,
    ("DeviceCount", "id"): "nothing refers to it",
    ("Site", "id"): "nothing refers to it",
    ("Site", "due_at"): "bookkeeping of the timetable",
    ("Proof", "id"): "nothing refers to it",
    ("Proof", "waiting"): "half of a computation, of no use by itself",
    ("Proof", "tries"): "the same",
    ("Finding", "id"): "nothing refers to it",
    ("Finding", "told_at"): "bookkeeping of e-mails",
    ("DeviceCount", "customer"): _ONE_CUSTOMER,
    **SLA_LEFT_OUT,
    **NOT_OF_SUBSCRIPTIONS,
    **LEFT_OUT_USAGE,
}


def line(kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
    """A row of values() as it stands in the archive."""
    return {field.name: field.convert(row[field.source]) for field in kind.fields}
