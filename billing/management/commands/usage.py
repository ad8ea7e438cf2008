"""`manage.py usage show | recompute | count | close`: what customers used, and the proof of a month."""

from typing import Any, Final

from django.utils import timezone

from billing.usage import closing, months, proving, reading, sources, watching
from tenants import selectors
from tenants.management.subcommands import CUSTOMER, Failing, Option, SubcommandsCommand, subcommand
from tenants.problem import ProblemError

_MONTH: Final = Option("--month", "a calendar month in UTC, such as 2026-11 (default: the running one)")


class Command(SubcommandsCommand):
    """Usage."""

    help = "Show what customers used, prove a month out of the log, count the running month and close those that ended."

    @subcommand("Show a customer's usage of a month, by server and by day.", CUSTOMER, _MONTH)
    def show(self, *, customer: str, month: str) -> dict[str, Any]:
        """Print it."""
        now, known = timezone.now(), sources.current()
        wanted = months.parse(month, now) if month else months.month_of(now)
        found = reading.detail(selectors.customer(customer), wanted, now, known)
        return {
            "customer": customer,
            "month": months.text(wanted),
            "closed_at": found.closed_at and found.closed_at.isoformat(),
            **(proving.shown(found.figures) or {}),
            "forecast": found.forecast,
            "corrections": [
                {
                    "at": row.at.isoformat(),
                    "pushes_before": row.pushes_before,
                    "pushes": row.pushes,
                    "devices_before": row.devices_before,
                    "devices": row.devices,
                    "reason": row.reason,
                }
                for row in found.corrections
            ],
        }

    @subcommand(
        "Prove a month: count it again out of the hours, the devices and the log; exit code 1 where they differ.",
        CUSTOMER,
        _MONTH,
        Option("--correct", "record a correction of a closed month that differs, with this reason"),
    )
    def recompute(self, *, customer: str, month: str, correct: str) -> Any:
        """Print the counts and where they differ."""
        now, known = timezone.now(), sources.current()
        wanted = months.parse(month, now) if month else months.month_of(now)
        row = selectors.customer(customer)
        proof = proving.prove(row, wanted, now, known)
        if correct and (proof.stated is None or not months.ripe(wanted, now)):
            raise ProblemError(f"{months.words(wanted)} is not closed: there is nothing to correct")
        corrected = bool(correct) and closing.correct(row, wanted, now, known, correct)
        result = {
            "customer": customer,
            "month": months.text(wanted),
            "stated": proving.shown(proof.stated),
            "counted": proving.shown(proof.counted),
            "log": {"from": proof.log_from and proof.log_from.isoformat(),
                    "until": proof.log_until and proof.log_until.isoformat(),
                    "whole_month": proof.whole},
            "differences": [each._asdict() for each in proof.differences],
            "corrected": corrected,
        }  # fmt: skip
        if proof.differences:
            return Failing(result, f"{len(proof.differences)} counts of {months.words(wanted)} differ")
        return result

    @subcommand("Count the running month of all customers now, and send the mails about quotas that are due.")
    def count(self) -> dict[str, Any]:
        """Print how many customers were counted."""
        return {"counted": watching.watch_all(timezone.now(), sources.current())}

    @subcommand("Close the months that ended two days ago or longer, and count the latest closed ones again.")
    def close(self) -> dict[str, Any]:
        """Print how many rows were written."""
        return {"written": closing.close_all(timezone.now(), sources.current())}
