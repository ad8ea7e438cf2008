"""The order of the admin's index: by what the staff's work is, and not by the apps that the tables are of."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from django.urls import reverse

from tenants import staff_roles


class Board(NamedTuple):
    """A page that is no list of rows."""

    name: str
    url_name: str
    permission: str


# Title, and in the order of the page: boards, or models by their labels.
SECTIONS: Final[tuple[tuple[str, tuple[Board | str, ...]], ...]] = (
    (
        "Customers",
        (
            *("tenants.customer", "billing.subscription", "billing.licenceproof", "billing.licencecase"),
            *("billing.usagerunning", "billing.usagemonth", "billing.usagecorrection", "billing.usagelimit"),
            *("billing.usagenotice", "tenants.entitlement", "billing.override", "tenants.membership"),
            *("tenants.invitation", "auth.user"),
        ),
    ),
    (
        "Money",
        (
            *("billing.invoicedraft", "billing.invoice", "billing.ledgerentry", "billing.billingprofile"),
            *("billing.slacredit", "billing.plan", "billing.planversion"),
        ),
    ),
    (
        "Service",
        (
            Board("Boards: trouble, volume, silence, answers, providers, dead letters", "boards", staff_roles.PUSHES),
            Board("Service level: this month", "boards-sla", "billing.view_slamonth"),
            *("billing.slamonth", "billing.slaledger", "billing.incident", "billing.maintenancewindow"),
            *("billing.canaryminute", "billing.roundfailure", "billing.subscriber"),
        ),
    ),
    (
        "Keys & apps",
        (
            *("tenants.server", "tenants.serverid", "tenants.serverkey", "tenants.finding", "tenants.proof"),
            *("tenants.unknowncaller",),
            *("tenants.pushapp", "tenants.credential", "tenants.removehold"),
        ),
    ),
    ("Log", ("delivery.delivery", "tenants.auditevent")),
)

# What Django makes of an abbreviation.
NAMES: Final = {
    "billing.slamonth": "SLA months",
    "billing.slacredit": "SLA credits",
    "billing.slaledger": "SLA ledgers",
}


def sections(apps: dict[str, Any], may: Callable[[str], bool]) -> list[dict[str, Any]]:
    """The sections as Django's templates take apps: of `apps`, its own description of what the reader may see."""
    there = {
        (key := f"{label}.{model['object_name'].lower()}"): {**model, "name": NAMES.get(key, model["name"])}
        for label, app in apps.items()
        for model in app["models"]
    }
    found = []
    for title, entries in SECTIONS:
        seen = [each for each in entries if (may(each.permission) if isinstance(each, Board) else each in there)]
        models = [_board(each) if isinstance(each, Board) else there.pop(each) for each in seen]
        if models:
            found.append(_section(title, models))
    if there:
        found.append(_section("Other", list(there.values())))
    return found


def _board(board: Board) -> dict[str, Any]:
    url = reverse(f"admin:{board.url_name}")
    name = board.url_name.replace("-", "")
    return {"name": board.name, "object_name": name, "admin_url": url, "add_url": None, "view_only": True}


def _section(title: str, models: list[dict[str, Any]]) -> dict[str, Any]:
    label = title.lower().replace(" & ", "-")
    # Django's own template gives each entry this id.
    url = f"{reverse('admin:index')}#{label}-{models[0]['object_name'].lower()}"
    return {"name": title, "app_label": label, "app_url": url, "has_module_perms": True, "models": models}
