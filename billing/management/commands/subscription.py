"""`manage.py subscription plans | list | standing | start | cancel | keep | change | override | ...`."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from billing.models import Subscription
from billing.subscriptions import applying, changing, plan_changes, reading, rows
from billing.subscriptions.needing import NEEDS, needing
from billing.subscriptions.rows import judged_row
from tenants import selectors
from tenants.management.subcommands import CUSTOMER, Option, SubcommandsCommand, subcommand
from tenants.models import Customer
from tenants.problem import ProblemError

_ID: Final = Option("--id", "which one, if it is not the one that counts (see `subscription list`)", kind="number")
_PLAN: Final = Option("--plan", "the plan's code (see `subscription plans`)", required=True)


class Command(SubcommandsCommand):
    """Subscriptions."""

    help = "List, start, cancel, change and override subscriptions; say how they stand."

    @subcommand("List the plans, each with its latest version.")
    def plans(self) -> list[dict[str, Any]]:
        """Print them."""
        return rows.plans()

    @subcommand(
        "List subscriptions as they stand.",
        Option("--customer", "of this customer alone, by its slug"),
        Option("--needs", "; ".join(f"{name}: {words}" for name, words in NEEDS.items()), choices=tuple(NEEDS)),
    )
    def list_(self, *, customer: str, needs: str) -> list[dict[str, Any]]:
        """Print them, of each customer the one that counts first."""
        now = timezone.now()
        found = [selectors.customer(customer)] if customer else Customer.objects.order_by("slug")
        wanted = set(needing(Subscription.objects.all(), needs, now).values_list("pk", flat=True)) if needs else None
        judged = (each for row in found for each in reading.judged(row, now))
        return [judged_row(each) for each in judged if wanted is None or each.row.pk in wanted]

    @subcommand(
        "Say how a customer stands, and what comes if nothing happens.",
        CUSTOMER,
        Option("--at", "on this day (2026-12-31) instead of now"),
    )
    def standing(self, *, customer: str, at: str) -> dict[str, Any]:
        """Print it; null for a customer without a subscription."""
        now = _day(at) if at else timezone.now()
        found = reading.current(selectors.customer(customer), now)
        return {"customer": customer, "subscription": rows.with_dates(found, now) if found else None}

    @subcommand(
        "Start a subscription.",
        CUSTOMER,
        _PLAN,
        Option("--from", "its first day (2026-12-31); left out: now"),
        Option("--trial-days", "how many days are a trial first", kind="number"),
    )
    def start(self, *, customer: str, plan: str, trial_days: int | None, **more: str) -> dict[str, Any]:
        """Print it."""
        now = timezone.now()
        row, changed = changing.start(
            customer=selectors.customer(customer),
            version=reading.version(plan),
            now=now,
            starts_at=_day(more["from"]) if more["from"] else None,
            trial_days=trial_days,
        )
        return self._shown(row, now, changed=changed)

    @subcommand(
        "Let a subscription end with a day; until then it can be taken back.",
        CUSTOMER,
        _ID,
        Option("--on", "its last day (2026-12-31)", required=True),
    )
    def cancel(self, *, customer: str, id: int | None, on: str) -> dict[str, Any]:  # noqa: A002  the option's name
        """Print it."""
        now = timezone.now()
        row = self._one(customer, id, now)
        row, changed = changing.cancel(subscription=row, at=_day(on) + timedelta(days=1), now=now)
        return self._shown(row, now, changed=changed)

    @subcommand("Take the cancellation of a subscription back.", CUSTOMER, _ID)
    def keep(self, *, customer: str, id: int | None) -> dict[str, Any]:  # noqa: A002  the option's name
        """Print it."""
        now = timezone.now()
        row, changed = changing.keep(subscription=self._one(customer, id, now), now=now)
        return self._shown(row, now, changed=changed)

    @subcommand(
        "Change the plan; without --yes say what it would come to.",
        CUSTOMER,
        _PLAN,
        Option("--yes", "make the change", kind="switch"),
    )
    def change(self, *, customer: str, plan: str, yes: bool) -> dict[str, Any]:
        """Print the amount, and once it is made the subscription."""
        now, who = timezone.now(), selectors.customer(customer)
        found = reading.current(who, now)
        if found is None:
            raise ProblemError(f"{customer} has no subscription: start one (`subscription start`)")
        offered = rows.quote(plan_changes.quote(found, reading.version(plan), now))
        if not yes:
            return {**offered, "changed": False}
        row, changed = plan_changes.change(
            customer=who, code=plan, now=now, confirmed_minor=int(offered["amount_minor"])
        )
        return {**offered, **self._shown(row, now, changed=changed)}

    @subcommand(
        "Have a subscription served until the end of a day, whatever its standing.",
        CUSTOMER,
        _ID,
        Option("--until", "the last day (2026-12-31)", required=True),
        Option("--reason", "why; the customer can read it", required=True),
    )
    def override(self, *, customer: str, id: int | None, until: str, reason: str) -> dict[str, Any]:  # noqa: A002
        """Print it."""
        now = timezone.now()
        row = self._one(customer, id, now)
        changing.override(subscription=row, until=_day(until) + timedelta(days=1), reason=reason, now=now)
        return self._shown(row, now, changed=True)

    @subcommand("End an override before its time.", CUSTOMER, _ID)
    def override_end(self, *, customer: str, id: int | None) -> dict[str, Any]:  # noqa: A002
        """Print it."""
        now = timezone.now()
        row, changed = changing.withdraw_overrides(subscription=self._one(customer, id, now), now=now)
        return self._shown(row, now, changed=changed)

    @subcommand("Apply what is due, as the timetable does every minute.")
    def apply(self) -> dict[str, int]:
        """Print of how many customers."""
        return {"applied": applying.run(timezone.now())}

    @staticmethod
    def _one(customer: str, id_: int | None, now: datetime) -> Subscription:
        found = reading.judged(selectors.customer(customer), now)
        row = next((each.row for each in found if id_ in (None, each.row.pk)), None)
        if row is None:
            raise ProblemError(f"{customer} has no such subscription: see `subscription list --customer {customer}`")
        return row

    @staticmethod
    def _shown(row: Subscription, now: datetime, *, changed: bool) -> dict[str, Any]:
        found = next(each for each in reading.judged(row.customer, now) if each.row.pk == row.pk)
        return {**rows.with_dates(found, now), "changed": changed}


def _day(text: str) -> datetime:
    """The beginning of a day in UTC. Raises ProblemError."""
    try:
        given = date.fromisoformat(text)
    except ValueError:
        raise ProblemError(f"{text!r} is no day: write it as 2026-12-31") from None
    return datetime(given.year, given.month, given.day, tzinfo=UTC)
