"""Fault isolation of periodic rounds: what fails for one customer is logged and kept for staff, the others' turn comes.

A failure is kept until the same round succeeds for the customer. What is no customer's fault (the database is away)
ends the round, which is repeated by the timetable.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeVar

from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connection, transaction

from billing.models import RoundFailure
from tenants.mail import MailError
from tenants.problem import ProblemError, first_line

log = logging.getLogger(__name__)
Done = TypeVar("Done")
WHY_MAX: Final = 300


class Round(StrEnum):
    """The rounds, each of which has its own failures of a customer."""

    LICENCES = "licences"
    STANDING = "standing"
    MAILS = "mails"
    USAGE = "usage"
    USAGE_MONTHS = "usage_months"
    DRAFTS = "drafts"
    INVOICE_MAILS = "invoice_mails"
    REMINDERS = "reminders"
    SLA_MINUTES = "sla_minutes"
    SLA_SEAL = "sla_seal"
    SLA_MONTHS = "sla_months"
    SLA_MAILS = "sla_mails"


# What staff read: what is not done for the customer while it fails.
WORDS: Final[dict[str, str]] = {
    Round.LICENCES: "what its licence includes is not begun",
    Round.STANDING: "its subscription is not judged: the last entitlement stays",
    Round.MAILS: "it is not written to about its subscription",
    Round.USAGE: "its running month is not counted",
    Round.USAGE_MONTHS: "its past months are not closed",
    Round.DRAFTS: "its drafts are not computed",
    Round.INVOICE_MAILS: "a document is not mailed to it",
    Round.REMINDERS: "it is not reminded of an overdue invoice",
    Round.SLA_MINUTES: "its SLA minutes are not written",
    Round.SLA_SEAL: "its SLA ledger is not sealed: its chain is to be begun anew, on the list of ledgers",
    Round.SLA_MONTHS: "its SLA month is not closed, and no credit given",
    Round.SLA_MAILS: "it is not written to about a break of its SLA ledger",
}


class Isolation:
    """One run of a round over customers. `failed`: how many could not be done."""

    def __init__(self, name: Round, now: datetime) -> None:
        """Take which round it is, and when."""
        self._name, self._now, self.failed = name, now, 0
        rows = RoundFailure.objects.filter(round=name.value)
        self._before = set(rows.values_list("customer_id", flat=True))

    def attempt(
        self, customer_id: int, work: Callable[[], Done], *, whole: tuple[type[Exception], ...] = ()
    ) -> Done | None:
        """Do one customer's work: what it returns, None where it failed.

        Within a transaction it is a savepoint. `whole`: errors that end the round, besides those of a database that
        is away, for the round is to be repeated rather than done without the customer.
        """
        try:
            if connection.in_atomic_block:
                with transaction.atomic():
                    done = work()
            else:
                done = work()
        except Exception as error:  # whatever it is, the others' turn comes all the same
            if isinstance(error, whole) or _is_away(error):
                raise
            self._note(customer_id, error)
            return None
        if customer_id in self._before:
            RoundFailure.objects.filter(customer_id=customer_id, round=self._name.value).delete()
            self._before.discard(customer_id)
        return done

    def _note(self, customer_id: int, error: Exception) -> None:
        self.failed += 1
        if isinstance(error, ProblemError):  # says all in its sentence
            log.error("The round %s failed for the customer %d: %s", self._name, customer_id, _why(error))
        else:
            log.exception("The round %s failed for the customer %d", self._name, customer_id, exc_info=error)
        try:
            with transaction.atomic():
                row, made = RoundFailure.objects.get_or_create(
                    customer_id=customer_id,
                    round=self._name.value,
                    defaults={"why": _why(error), "first_at": self._now, "last_at": self._now},
                )
                if not made:
                    row.why, row.times, row.last_at = _why(error), row.times + 1, self._now
                    row.save(update_fields=("why", "times", "last_at"))
        except DatabaseError as unkept:
            log.warning("that failure cannot be shown to staff: %s", first_line(unkept))
        self._before.add(customer_id)


def forget(customer_id: int) -> None:
    """Delete what is kept of a customer that is erased."""
    RoundFailure.objects.filter(customer_id=customer_id).delete()


def _why(error: Exception) -> str:
    """The error in a line. Of the database's only the kind: its text may quote a row."""
    text = type(error).__name__
    if isinstance(error, MailError):
        text = f"an e-mail could not be sent ({error.reason})"  # to whom is said by no log
    elif isinstance(error, ProblemError):
        text = first_line(error)
    elif not isinstance(error, DatabaseError):
        text = f"{text}: {first_line(error)}"
    return text.replace("\0", "")[:WHY_MAX]


def _is_away(error: Exception) -> bool:
    return isinstance(error, (OperationalError, InterfaceError)) and not connection.is_usable()
