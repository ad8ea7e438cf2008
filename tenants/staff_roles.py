"""Role-based permissions of the staff: one table, role by model and verb, as Django's permissions name them. Pure.

Support sees no money: no invoice, payment, price or credit. Finance sees no key: no server key, credential or app, and
no push. An admin of the staff is a superuser, who needs no row here. Whoever has no role sees nothing of a customer.
The groups of these names are written from this table at each `migrate` (tenants/services/staff.py).
"""

from typing import Final

SUPPORT: Final = "support"
FINANCE: Final = "finance"
ADMIN: Final = "admin"
# The most powerful first.
ROLES: Final = (ADMIN, FINANCE, SUPPORT)

_VIEW, _CHANGE, _ADD = ("view",), ("view", "change"), ("view", "add", "change")
_ALL: Final = ("view", "add", "change", "delete")

# What both see: customers, who is in them, what they are entitled to and how they stand.
_COMMON: Final = {
    "tenants.customer": _VIEW,
    "tenants.entitlement": _VIEW,
    "tenants.membership": _VIEW,
    "tenants.invitation": _VIEW,
    "tenants.server": _VIEW,
    "tenants.serverid": _VIEW,
    "tenants.auditevent": _VIEW,
    "auth.user": _VIEW,
    "billing.subscription": _VIEW,
    "billing.override": _VIEW,
    "billing.laststanding": _VIEW,
    "billing.licenceproof": _ADD,
    "billing.licencecase": _CHANGE,
    "billing.usagemonth": _VIEW,
    "billing.usagerunning": _VIEW,
    "billing.usagecorrection": _VIEW,
    "billing.usagenotice": _VIEW,
    "billing.usagelimit": _VIEW,
    "billing.slamonth": _VIEW,
    "billing.slaledger": _VIEW,
    "billing.slarenewal": _VIEW,
    "billing.canaryminute": _VIEW,
    "billing.roundfailure": _VIEW,
    "billing.incident": _VIEW,
    "billing.incidentupdate": _VIEW,
    "billing.maintenancewindow": _VIEW,
}
GROUPS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    SUPPORT: {
        **_COMMON,
        "tenants.customer": _ADD,
        "tenants.entitlement": _CHANGE,
        "tenants.server": _ADD,
        "tenants.serverid": _CHANGE,
        "tenants.serverkey": _CHANGE,
        "tenants.site": _VIEW,
        "tenants.sighting": _VIEW,
        "tenants.proof": _VIEW,
        "tenants.finding": _VIEW,
        "tenants.unknowncaller": _VIEW,
        "tenants.pushapp": _VIEW,
        "tenants.credential": _VIEW,
        "tenants.removehold": _VIEW,
        "delivery.delivery": _CHANGE,
        # A broken chain of the SLA's ledger is begun anew by who knows why it broke; none is ever changed.
        "billing.slarenewal": ("view", "add"),
        "billing.incident": _ALL,
        "billing.incidentupdate": _ADD,
        "billing.maintenancewindow": _ALL,
        "billing.subscriber": ("view", "delete"),
    },
    FINANCE: {
        **_COMMON,
        "billing.subscription": _ADD,
        "billing.plan": _ADD,
        "billing.planversion": _ADD,
        "billing.planchange": _VIEW,
        "billing.slacredit": _VIEW,
        "billing.billingprofile": _ADD,
        "billing.invoicedraft": _ALL,
        "billing.invoice": ("view", "add"),
        "billing.ledgerentry": ("view", "add"),
    },
}

MONEY: Final = "billing.view_invoice"
KEYS: Final = "tenants.view_serverkey"
PUSHES: Final = "delivery.view_delivery"

# Of no model: superusers alone have it.
NOBODYS: Final = "tenants.of_admins"

# The permissions that staff need who look at a customer's pages, for each action of permissions.py that a viewer has.
# A page with both, keys and pushes or money, is for who may see both.
LOOKING: Final[dict[str, tuple[str, ...]]] = {
    "see": (PUSHES,),
    "server.see": (KEYS,),
    "app.see": ("tenants.view_pushapp",),
    "delivery.see": (PUSHES,),
    "member.see": ("tenants.view_membership",),
    "subscription.see": ("billing.view_subscription",),
    "settings.see": ("tenants.view_customer",),
    "audit.see": (MONEY, KEYS),
}

# Nouns of the audit log's actions whose events only those see who have the permission.
NOUNS: Final[dict[str, tuple[str, ...]]] = {
    MONEY: ("billing", "invoice", "payment", "plan", "sla", "sla_credit", "subscription"),
    KEYS: ("app", "credential", "key", "remove", "site"),
}


def codenames(role: str) -> set[tuple[str, str]]:
    """The permissions of a group: (label of the app, codename). Raises KeyError for a role that is no group."""
    found = set()
    for name, verbs in GROUPS[role].items():
        app, _, model = name.partition(".")
        found |= {(app, f"{verb}_{model}") for verb in verbs}
    return found
