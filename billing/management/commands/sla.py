"""The SLA's ledger: `manage.py sla VERB`."""

from argparse import ArgumentParser
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.utils import timezone

from billing.facts import Month
from billing.models import SlaCredit, SlaLedger
from billing.sla import comparing, correcting, judging, keeping, keys, months, packing, reading, renewing, running
from billing.sla.sources import wired
from tenants import selectors
from tenants.management.subcommands import CUSTOMER, Failing, Option, SubcommandsCommand, subcommand
from tenants.models import Customer
from tenants.problem import ProblemError

_MONTH = Option("--month", "the month, as 2026-11 (default: the current one)")


@dataclass(frozen=True)
class _Action(Option):
    """A word that follows the verb."""

    def add_to(self, parser: ArgumentParser) -> None:
        parser.add_argument(self.flag[2:], help=self.help, choices=self.choices)


class Command(SubcommandsCommand):
    """See the help of each verb."""

    help = "The ledger of the service level: show months, verify, seal and mend it, correct minutes, make keys."

    @subcommand("Show a month of a customer, or of all customers.", Option("--customer", "the customer's slug"), _MONTH)
    def show(self, *, customer: str, month: str) -> dict[str, Any]:
        """Print the figures, the minutes that are not ok, and the credits."""
        now = timezone.now()
        wanted = _month(month, now)
        if not customer:
            ids = SlaLedger.objects.values_list("customer_id", flat=True)
            return {each.slug: _figures(each, wanted, now) for each in Customer.objects.filter(pk__in=ids)}
        found = selectors.customer(customer)
        troubled = [row for row in reading.rows(found, wanted) if row.verdict != judging.OK]
        given = SlaCredit.objects.filter(customer=found, month=wanted.first)
        return {
            **_figures(found, wanted, now),
            "not_ok": [{**row._asdict(), "minute": row.minute.isoformat()} for row in troubled],
            "credits": [f"{row.amount_minor} {row.currency} ({row.percent} %)" for row in given],
        }

    @subcommand(
        "Verify the ledger of a customer, or of all: files, chains, trees, and the rollups that they were made of.",
        Option("--customer", "the customer's slug"),
    )
    def verify(self, *, customer: str) -> dict[str, Any] | Failing:
        """Print per customer how many days were looked at and what is wrong; exit code 1 if anything is."""
        ids = SlaLedger.objects.values_list("customer_id", flat=True)
        found = [selectors.customer(customer)] if customer else list(Customer.objects.filter(pk__in=ids))
        result: dict[str, Any] = {}
        for each in found:
            days, wrong = reading.check_chain(each)
            differing = comparing.differing(each, now=timezone.now(), sources=wired())
            result[each.slug] = {"days": days, "wrong": wrong, "differs_from_rollups": differing}
        if any(one["wrong"] for one in result.values()):
            return Failing(result, "the ledger is not whole")
        return result

    @subcommand("Do the timetable's round now: write minutes, seal days that are due, close months.")
    def seal(self) -> dict[str, Any]:
        """Print the days that were sealed."""
        done = running.round_(timezone.now(), wired())
        last = keeping.sealed_to()
        return {
            "minutes_changed": done.minutes,
            "sealed": [day.isoformat() for day in done.sealed],
            "sealed_to": last and last.isoformat(),
        }

    @subcommand(
        "Begin a customer's broken chain anew; its new genesis names the break for good. See `sla verify`.",
        CUSTOMER,
        Option("--reason", "what broke it, for the customer", required=True),
    )
    def renew(self, *, customer: str, reason: str) -> dict[str, Any]:
        """Print where it broke, and with which day it begins anew."""
        made = renewing.renew(selectors.customer(customer), reason=reason, now=timezone.now())
        return {"broke_on": made.broke_on.isoformat(), "old_head": made.old_head, "begins": made.begins.isoformat()}

    @subcommand(
        "Correct a sealed minute. Against the customer's favour it is mailed to the customer first.",
        CUSTOMER,
        Option("--minute", "the minute in UTC, as 2026-11-29T00:01Z", required=True),
        Option("--reason", "why, for the customer", required=True),
        Option("--valid", "valid pushes", kind="number"),
        Option("--failed-ours", "of them those that we failed", kind="number"),
        Option("--le-1s", "handed off within 1 s", kind="number"),
        Option("--le-3s", "handed off within 3 s", kind="number"),
        Option("--canary", "the canary", choices=judging.CANARIES, default=None),
    )
    def correct(self, *, customer: str, minute: str, reason: str, **figures: Any) -> dict[str, Any]:
        """Print the correction and the month's figures."""
        changes = {name: value for name, value in figures.items() if value is not None}
        try:
            moment = datetime.fromisoformat(minute).astimezone(UTC)
        except ValueError:
            raise ProblemError(f"{minute!r} is no minute: write it as 2026-11-29T00:01Z") from None
        now, found = timezone.now(), selectors.customer(customer)
        made, _ = correcting.correct(found, moment, reason=reason, now=now, sources=wired(), **changes)
        return {
            "in_file_of": made.day.isoformat(),
            "favours_customer": made.favours_customer,
            "verdict": made.verdict,
            "month": _figures(found, judging.month_of(moment.date()), now),
        }

    @subcommand(
        "Keys of the ledger: `new` makes one that signs from now on, `list` shows all, `reseal` seals the secret "
        "with the first key of VAULT_KEYS.",
        _Action("--action", "what to do", choices=("new", "list", "reseal")),
    )
    def key(self, *, action: str) -> dict[str, Any]:
        """Print the public keys."""
        changed = 0
        if action == "new":
            keys.new(now=timezone.now())
        elif action == "reseal":
            changed = keys.reseal()
        return {"keys": keys.public_keys(), "resealed": changed}


def _figures(customer: Customer, month: Month, now: datetime) -> dict[str, Any]:
    of, told = reading.ledger_of(customer), reading.month(customer, month, now)
    if of is None or told is None:
        return {"ledger": None}
    statement = packing.statement(str(of.public_id), told, reading.sealed_to_of(customer))
    # The figures go on to the last minute that is known, sealed or not.
    return {**statement, "figures_to": months.judged_to(of, month, reading.known_until(now)).isoformat()}


def _month(text: str, now: datetime) -> Month:
    if not text:
        return judging.month_of(now.date())
    try:
        return judging.month_of(date.fromisoformat(f"{text}-01"))
    except ValueError:
        raise ProblemError(f"{text!r} is no month: write it as 2026-11") from None
