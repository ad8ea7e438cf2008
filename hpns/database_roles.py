"""The roles that the service runs as, besides the owner of the tables: what each may do with which table.

The pages' role is bound by row-level security; the worker's is not, for PostgreSQL's COPY refuses tables under it. Nor
is the directory's, which must know every key, and by which web and pages processes read that and nothing else. None
may change the audit log, nor make or drop a table, nor name a partition.

Invariant: a table that is not in GRANTS can be used by none, and fails the tests.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from psycopg import sql

PAGES: Final = "pages"
WORKER: Final = "worker"
DIRECTORY: Final = "directory"

_S, _SI, _SU = "SELECT", "SELECT, INSERT", "SELECT, UPDATE"
_SIU, _SIUD = "SELECT, INSERT, UPDATE", "SELECT, INSERT, UPDATE, DELETE"
_SID: Final = "SELECT, INSERT, DELETE"
# All columns but when it was, and its id: the database says that.
_AUDITS: Final = (
    "SELECT, INSERT (customer_id, actor_kind, actor_id, actor, address, action, target, target_id, details)"
)

# Table -> what the pages may, what the worker may; "" is nothing.
GRANTS: Final[dict[str, tuple[str, str]]] = {
    # The worker: the offer of a subscription that begins.
    "tenants_customer": (_SIU, _SU),
    "tenants_entitlement": (_SIU, _SU),
    "tenants_membership": (_SIUD, _S),
    "tenants_invitation": (_SIU, _SU),
    "tenants_server": (_SIU, _S),
    "tenants_serverid": (_SIUD, _S),
    "tenants_serverkey": (_SIU, _SU),
    "tenants_sighting": (_S, _SIU),
    "tenants_rejection": (_S, _SIUD),
    "tenants_unknowncaller": (_S, _SIUD),
    "tenants_site": (_SIU, _SIU),
    "tenants_proof": (_S, _SIU),
    "tenants_finding": (_SU, _SIU),
    "tenants_pushapp": (_SIU, _SU),
    "tenants_credential": (_SIUD, _SU),
    "tenants_removehold": (_SIUD, _SIUD),
    "tenants_auditevent": (_AUDITS, _AUDITS),
    # The worker notes what servers themselves say of their licences; what a proof says is final for both (a trigger).
    "billing_licenceproof": (_SIU, _SU),
    "billing_licencecase": (_SIU, _S),
    # The worker corrects what servers were told, and whose fault refusals were.
    "delivery_delivery": (_S, f"{_SI}, UPDATE (answer, attribution, counts)"),
    "delivery_other_days": ("", ""),
    "delivery_written_segment": ("", _SI),
    "delivery_device": (_S, _SIUD),
    "delivery_active_device": (_S, _SIUD),
    "delivery_device_count": (_S, _SIUD),
    "delivery_platform_sighting": (_S, _SIUD),
    "delivery_written_minute": ("", _SID),
    "delivery_matched_receipt": ("", _SID),
    "delivery_receipt": (_S, _SIU),
    "delivery_receipt_other_days": ("", ""),
    # Of all customers together: nobody is recognisable. What has come together is merged, which deletes rows.
    "delivery_minute": (_S, _SID),
    "delivery_hour": (_S, _SID),
    "delivery_day": (_S, _SID),
    "delivery_minute_now": (_S, _S),
    "delivery_hour_now": (_S, _S),
    "delivery_day_now": (_S, _S),
    "delivery_service_minute": (_S, _SID),
    "delivery_service_hour": (_S, _SID),
    **dict.fromkeys(
        (
            *(f"delivery_{unit}_{part}" for unit in ("minute", "hour", "day") for part in ("new", "merged", "other")),
            *(f"delivery_service_{unit}_{part}" for unit in ("minute", "hour") for part in ("new", "merged")),
        ),
        ("", ""),
    ),
    # The SLA's ledger: rows are only added to what is sealed, by grants and by triggers (billing 0005).
    "billing_slaledger": (_S, _SI),
    "billing_slaminute": (_S, _SID),
    "billing_sladay": (_S, _SI),
    "billing_slafile": (_S, _SI),
    "billing_slacorrection": (_S, _SI),
    "billing_slarenewal": (_SI, _SI),
    "billing_slabreakmail": (_S, _SIUD),
    "billing_slamonth": (_S, _SIU),
    "billing_slacredit": (_S, _SI),
    "billing_slaroot": (_S, _SI),
    "billing_slakey": (_S, _S),
    "billing_slasecret": ("", _S),
    # The service's own state, of no customer's: staff enter it in the admin, the timetable sends and forgets.
    "billing_canaryminute": (_S, _SIUD),
    "billing_statusday": (_S, _SI),
    "billing_maintenancewindow": (_SIUD, _S),
    "billing_incident": (_SIUD, _S),
    "billing_incidentupdate": (_SIUD, _S),
    "billing_roundfailure": (_S, _SIUD),
    "billing_subscriber": (_SIUD, _S),
    "billing_notice": (_SID, _SIUD),
    # What staff and owners agree on; what the timetable makes of it.
    "billing_plan": (_SIU, _S),
    "billing_planversion": (_SIU, _S),
    # The worker begins the subscriptions that licences include.
    "billing_subscription": (_SIU, _SIU),
    "billing_override": (_SIU, _S),
    "billing_planchange": (_SI, _S),
    "billing_laststanding": (_SIU, _SIU),
    "billing_subscriptionmail": (_S, _SID),
    # Closed months and their corrections are only added.
    "billing_usagemonth": (_S, _SI),
    "billing_usagecorrection": (_S, _SI),
    "billing_usagerunning": (_S, _SIU),
    "billing_usagenotice": (_S, _SI),
    # Staff who change an offer change what comes after the limits.
    "billing_usagelimit": (_SU, _SIU),
    # What is issued and what is paid is only added to, by staff or a command; drafts are the timetable's, too.
    "billing_billingprofile": (_SIU, _S),
    "billing_invoicecounter": (_SIU, _SIU),
    "billing_invoicedraft": (_SIUD, _SIUD),
    "billing_invoice": (_SI, _SI),
    "billing_invoicefile": (_SI, _SI),
    "billing_ledgerentry": (_SI, _SI),
    "billing_invoicemail": (_SI, _SI),
    # People, and how they log in. Staff may remove a person, with all that hangs on it.
    "auth_user": (_SIUD, _S),
    "auth_user_groups": (_SIUD, ""),
    "auth_user_user_permissions": (_SIUD, ""),
    "auth_group": (_SIUD, ""),
    "auth_group_permissions": (_SIUD, ""),
    "auth_permission": (_S, ""),
    "account_emailaddress": (_SIUD, _S),
    "account_emailconfirmation": (_SIUD, ""),
    "mfa_authenticator": (_SIUD, ""),
    "usersessions_usersession": (_SIUD, "SELECT, DELETE"),
    "django_session": (_SIUD, "SELECT, DELETE"),
    "django_admin_log": (_SID, ""),
    "django_content_type": (_S, ""),
    "django_migrations": ("", ""),
}
# What tenants/directory/ reads, and whether there is a log at all is looked at by the same role.
READ_BY_THE_DIRECTORY: Final = frozenset(
    (
        *("tenants_customer", "tenants_entitlement", "tenants_server", "tenants_serverid", "tenants_serverkey"),
        *("tenants_pushapp", "tenants_credential", "tenants_removehold", "tenants_proof", "tenants_site"),
    )
)
# Partitions are reached through the table that they are parts of, whose policies hold for them.
PARTITIONS: Final = "^delivery_(receipt_|minute_|hour_|day_)?[0-9]{4}_[0-9]{2}(_[0-9]{2})?$"


class Login(NamedTuple):
    """A role as a URL names it. Whether it is to bypass row-level security."""

    name: str
    password: str
    bypasses: bool


def login(url: str, *, bypasses: bool) -> Login:
    """The login that a database's URL names."""
    parts = urlsplit(url)
    return Login(unquote(parts.username or ""), unquote(parts.password or ""), bypasses)


def grants(role: str, kind: str) -> Iterator[sql.Composed]:
    """The statements that give the role `role` what a role of this kind (PAGES, WORKER or DIRECTORY) may, and nothing
    else."""
    name = sql.Identifier(role)
    yield sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(name)
    yield sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name)
    for table in GRANTS:
        if given := rights(kind, table):
            yield sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(given), sql.Identifier(table), name)


def rights(kind: str, table: str) -> str:
    """What a role of this kind may do with a table of GRANTS; "" is nothing."""
    if kind == DIRECTORY:
        return _S if table in READ_BY_THE_DIRECTORY else ""
    return GRANTS[table][(PAGES, WORKER).index(kind)]


def tables(cursor: Any) -> set[str]:
    """The tables and views that there are, partitions by day left out."""
    cursor.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') "
        "AND relname !~ %s",
        [PARTITIONS],
    )
    return {name for (name,) in cursor.fetchall()}
