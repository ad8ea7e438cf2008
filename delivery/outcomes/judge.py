"""Judge one attempt: what came of it, what the Mattermost server is told, whose fault it is, whether to try again.

Pure and closed by default. Invariant: an answer without a row of its own is UNKNOWN, told as FAIL, and never REMOVE,
because a wrong REMOVE mutes a phone until its user logs in again.
"""

from functools import cache
from typing import Final, cast

import msgspec

from delivery.outcomes import own
from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import TROUBLED, Attempt, Outcome, Outcomes, Retry, Verdict

_ABSENT: Final = {
    "address": "its address",
    "contact": "whoever operates this push service",
    "detail": "no more is known",
    "form": "https://HOST/t/KEY",
    "host": "the provider",
    "key_id": "of this app",
    "label": "of this push",
    "project": "of this app",
    "reason": "(unreadable)",
    "remark": "",
    "seconds": "a few",
    "status": "with an error",
    "topic": "of this app",
}
"""What a text says where its caller knows no detail."""


REFUSES_EVERYBODY: Final = (
    "nothing to do about the key, for {name} refuses those of many customers at once; it passes by itself"
)
"""What to do about a refused credential while its provider refuses everybody's."""


CODES_PATH: Final = "codes"
"""Below which path of the pages each code has its own (delivery/pages/urls.py)."""


class _Details(dict[str, object]):
    def __missing__(self, name: str) -> str:
        return _ABSENT[name]


def judge(attempt: Attempt, outcomes: Outcomes | None) -> Verdict:
    """Return the verdict on an attempt at the provider whose answers these are; total: every attempt has one.

    outcomes is None for a provider that nobody knows.
    """
    if outcomes is None:
        return own.UNKNOWN_FAULT
    status = attempt.status
    if status in outcomes.accepts:
        return outcomes.sent
    if status == 0:
        # A member is equal to its text; text that is no member's finds no row.
        key = (cast("TransportFault", attempt.reason), attempt.wire)
        return own.TRANSPORT.get(key) or outcomes.transport.get(key, own.UNKNOWN_FAULT)
    known = outcomes.answers.get((status, attempt.reason))
    if known is not None:
        return known
    if status not in TROUBLED:
        return outcomes.unknown
    return _passing(outcomes.unknown) if attempt.reason else outcomes.trouble


@cache
def _passing(unknown: Verdict) -> Verdict:
    """Return the verdict on an answer whose status says that it passes, and whose reason nobody has documented."""
    return msgspec.structs.replace(unknown, retry=Retry.REPLACE)


@cache
def expired(verdict: Verdict) -> Verdict:
    """Return the verdict on a push that was tried for its whole lifetime, the last time with this one.

    Its code and whose fault it is stay: they say why it expired.
    """
    return msgspec.structs.replace(verdict, outcome=Outcome.EXPIRED)


@cache
def late_by_others(verdict: Verdict) -> Verdict:
    """Return the verdict on a push that ended so at a later try, and not by our doing: it is no event of the SLA."""
    return msgspec.structs.replace(verdict, counts_in_sla=False)


def refusal(code: str) -> Verdict:
    """Return the verdict for a refusal of our own, made before any attempt; KeyError for a code that has no row."""
    return own.REFUSALS[code]


@cache
def attributed(verdict: Verdict, shared: bool) -> Verdict:
    """Return the verdict for a push of a shared app (shared=True): faults of its credential are ours, and count."""
    if shared and verdict.is_credential_fault and verdict.attribution == "customer":
        return msgspec.structs.replace(verdict, attribution="ours", counts_in_sla=True, level="error")
    return verdict


@cache
def by_provider(verdict: Verdict, name: str) -> Verdict:
    """Return the verdict on a push whose credential was refused while its provider refused everybody's. name: the
    provider's, for people."""
    return msgspec.structs.replace(verdict, attribution="provider", fix=REFUSES_EVERYBODY.format(name=name))


def text(verdict: Verdict, trace: str, public_url: str = "", **details: object) -> str:
    """Return what the server's admin reads: "<code> <cause>: <what to do> (trace <id>) <address of the code's page>".

    public_url is the address of the pages, such as "https://push.example.com"; without it no address is given. trace is
    "" for what can be found nowhere: then none is named.

    details fill the row's placeholders (those of _ABSENT); empty ones and those left out are put in words, but for
    {remark}, which is {detail} in parentheses where there is one. They must hold no secret: the text ends in the
    customer's server log.
    """
    cause, fix = cause_and_fix(verdict, **details)
    found = f" (trace {trace})" if trace else ""
    page = f" {public_url.rstrip('/')}/{CODES_PATH}/{verdict.code}/" if public_url else ""
    return f"{verdict.code} {cause}: {fix}{found}{page}"


def cause_and_fix(verdict: Verdict, **details: object) -> tuple[str, str]:
    """Return a verdict's cause, and what to do about it, with the details that text() takes."""
    given = _Details((name, value) for name, value in details.items() if value not in ("", 0, None))
    if "detail" in given:
        given["remark"] = f" ({given['detail']})"
    return verdict.cause.format_map(given), verdict.fix.format_map(given)
