"""`manage.py plan list | add | version`."""

from typing import Any, Final

from billing.facts import Basis
from billing.management.commands.invoice import minor
from billing.models import Plan
from billing.money import CURRENCIES
from billing.subscriptions import plans, rows
from tenants.management.subcommands import Option, SubcommandsCommand, subcommand
from tenants.models import Customer
from tenants.problem import ProblemError

_CODE: Final = Option("--code", "the plan's code (see `plan list`)", required=True)
_NUMBERS: Final = {
    "period_months": "1 or 12",
    "included_devices": "active devices a month; 0: no bound",
    "included_pushes": "billable pushes a month; 0: no bound",
    "included_servers": "servers; 0: no bound",
    "trial_days": "days of a trial",
    "payment_days": "days from an invoice's issue to its due date",
    "restricted_after": "days after a due date, or a licence's end",
    "suspended_after": "days after the same",
    "ended_after": "days after the same",
}
_UNBOUNDED: Final = ("included_devices", "included_pushes", "included_servers")


class Command(SubcommandsCommand):
    """Plans and their versions."""

    help = "List plans, add them, and change their prices by another version, for who subscribes then."

    @subcommand("List the plans, each with its latest version.")
    def list_(self) -> list[dict[str, Any]]:
        """Print them; one that has no version yet says so by version 0."""
        found = rows.plans()
        known = {row["plan"] for row in found}
        return found + [{**_plan(row), "version": 0} for row in Plan.objects.exclude(code__in=known).order_by("code")]

    @subcommand(
        "Add a plan. It can be had when it has a version (`plan version`).",
        Option("--code", "its name in commands; it stays", required=True),
        Option("--name", "its name for people", required=True),
        Option("--basis", "what subscriptions to it rest on", required=True, choices=[each.value for each in Basis]),
        Option("--offer", "what it entitles to", required=True, choices=Customer.Offer.values),
        Option("--description", "one sentence for the customer"),
        Option("--listed", "owners may change to it by themselves", kind="switch"),
    )
    def add(self, *, code: str, name: str, basis: str, offer: str, description: str, listed: bool) -> dict[str, Any]:
        """Print it."""
        row, changed = plans.add(code=code, name=name, basis=basis, offer=offer, description=description, listed=listed)
        return {**_plan(row), "changed": changed}

    @subcommand(
        "Add a version of a plan, as the latest one but for what is given; without --yes say what it would be.",
        _CODE,
        Option("--price", "for each period without tax, in units with a point, such as 499.00"),
        Option("--device-price", "for each active device beyond those included, a month, in the same"),
        Option("--currency", "the currency of both", choices=CURRENCIES, default=""),
        Option("--sla", "whether it has the SLA", choices=("yes", "no"), default=""),
        *(Option(f"--{name.replace('_', '-')}", words, kind="number") for name, words in _NUMBERS.items()),
        Option("--yes", "add it", kind="switch"),
    )
    def version(
        self, *, code: str, price: str, device_price: str, currency: str, sla: str, yes: bool, **numbers: int | None
    ) -> dict[str, Any]:
        """Print what differs (before, after), and how many subscriptions keep an earlier version."""
        plan = Plan.objects.filter(code=code).first()
        if plan is None:
            raise ProblemError(f"there is no plan {code!r}: see `plan list`")
        wanted: dict[str, Any] = {
            name: None if number == 0 and name in _UNBOUNDED else number
            for name, number in numbers.items()
            if number is not None
        }
        if price:
            wanted["price_minor"] = minor(price)
        if device_price:
            wanted["device_price_minor"] = minor(device_price)
        if currency:
            wanted["currency"] = currency
        if sla:
            wanted["sla"] = sla == "yes"
        quoted = plans.preview(plan=plan, wanted=wanted)
        changed = plans.add_version(plan=plan, wanted=wanted).changed if yes else False
        return {"plan": code, **quoted._asdict(), "changed": changed}


def _plan(row: Plan) -> dict[str, Any]:
    return {
        "plan": row.code,
        "name": row.name,
        "basis": row.basis,
        "offer": row.offer,
        "description": row.description,
        "listed": row.listed,
    }
