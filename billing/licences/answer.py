"""The answer of the licence page: whether licences are proven, for which servers, until when, and what is missing.

From rows, without a query; `now` is the caller's.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from billing.dates import day, last_day
from billing.licences import coverage, skus
from billing.licences.judging import GRACE, Code, phase
from billing.licences.skus import Tier
from billing.models import LicenceProof

SOON: Final = timedelta(days=60)
"""How long before the end a renewal is asked for, as Mattermost itself does."""


class Word(NamedTuple):
    """A piece of a sentence: text, or a moment that is shown as `text`."""

    text: str
    at: datetime | None = None
    url: str = ""
    code: bool = False


class Summary(NamedTuple):
    """The sentence of templates/parts/sentence.html: kind ("good", "warn", "bad" or "quiet"), words, advice."""

    kind: str
    words: tuple[Word, ...]
    advice: str = ""


class Standing(NamedTuple):
    """Where one proof is in its life: a mark and words for it, and until when it counts (with the grace)."""

    kind: str
    text: str
    counts: bool


def title(row: LicenceProof) -> str:
    """What a licence is called: "Professional for 250 users"."""
    return f"{skus.title(row.sku)} for {row.users:,} users" if row.users else f"{skus.title(row.sku)} licence"


def renewed(row: LicenceProof, others: Sequence[LicenceProof], now: datetime) -> bool:
    """Whether a licence has expired, and another of the same worth is in force."""
    if now < row.expires_at:
        return False
    return any(_tier(other) is _tier(row) and other.starts_at <= now < other.expires_at for other in others)


def standing(proof: LicenceProof, now: datetime) -> Standing:
    """Of a proof that was not ended."""
    found = phase(proof.starts_at, proof.expires_at, now)
    if found is Code.WAITING:
        return Standing("quiet", f"Starts on {day(proof.starts_at)}", False)
    if found is Code.GOOD:
        soon = proof.expires_at - now < SOON
        if soon:
            return Standing("warn", "Ends soon", True)
        return Standing("good", "Vouched for" if proof.vouched else "Proven", True)
    if found is Code.GRACE and not proof.vouched:
        return Standing("bad", f"Ended, counts until {last_day(proof.expires_at + GRACE)}", True)
    return Standing("bad", "Ended", False)


def summary(proofs: Sequence[LicenceProof], now: datetime, *, checkable: bool) -> Summary:
    """The answer in one sentence. `proofs`: the living ones; `checkable`: whether files can be checked here."""
    held = [row for row in proofs if _tier(row) is Tier.HPNS]
    current = coverage.best_first(held, now)[:1]
    around = coverage.at(held, now)
    if current and around is not None:
        return _proven(current[0], around.until, now)
    if current and current[0].expires_at <= now:
        return _ended(current[0], now)
    if current:
        words = (Word("No licence is in force yet: one starts on "), _moment(current[0].starts_at), Word("."))
        return Summary("warn", words, "It counts from that day on, by itself.")
    entry = next((row for row in proofs if row.starts_at <= now < row.expires_at), None)
    if entry is not None:
        return _entry(entry)
    if not checkable:
        return Summary(
            "quiet",
            (Word("No licence is proven, and files cannot be checked here."),),
            "Our staff can vouch for yours.",
        )
    return Summary(
        "quiet",
        (Word("No licence is proven yet."),),
        "The service is included in Mattermost Professional, Enterprise and Enterprise Advanced: the licence file "
        "proves it in a minute.",
    )


def missing(proofs: Sequence[LicenceProof], now: datetime) -> list[str]:
    """What is still to be done about the living proofs, each a sentence; none: all is well."""
    lost = [row for row in proofs if row.server is None and not renewed(row, proofs, now) and standing(row, now).counts]
    found = [f"Say which server {title(row)} is for." for row in lost]
    around = coverage.merged([row for row in proofs if _tier(row) is Tier.HPNS])
    for before, after in pairwise(around):
        if before.since <= now and after.since > now:
            over, again = last_day(before.until), day(after.since)
            found.append(f"No licence is in force after {over}, until one starts on {again}.")
    return found


def _proven(row: LicenceProof, until: datetime, now: datetime) -> Summary:
    head = "Our staff vouch for " if row.vouched else "Proven: "
    where = f" at {row.server.name}" if row.server else ""
    words: tuple[Word, ...] = (Word(f"{head}{title(row)}{where}, until "), _end(row.expires_at))
    if until > row.expires_at:
        words += (Word(", and by the licence after it until "), _end(until))
    words += (Word("."),)
    if until - now < SOON:
        return Summary("warn", words, "Upload the renewed licence as soon as you have it: there will be no gap.")
    return Summary("good", words)


def _ended(row: LicenceProof, now: datetime) -> Summary:
    words = (Word(f"The {skus.title(row.sku)} licence ended on "), _end(row.expires_at), Word("."))
    end = row.expires_at + GRACE
    if now < end and not row.vouched:
        return Summary("bad", words, f"It counts until {last_day(end)}. Upload the renewed licence before.")
    return Summary("bad", words, "Upload the renewed licence.")


def _entry(row: LicenceProof) -> Summary:
    limit = f", with {row.push_limit:,} pushes a month" if row.push_limit else ""
    words = (Word(f"Mattermost Entry: pushes go by the terms of the test service{limit}, until "),)
    advice = "The service with its promise is included from Mattermost Professional on."
    return Summary("quiet", (*words, _end(row.expires_at), Word(".")), advice)


def _moment(at: datetime) -> Word:
    return Word(day(at), at)


def _end(at: datetime) -> Word:
    return Word(last_day(at), at - timedelta(microseconds=1))


def _tier(row: LicenceProof) -> Tier | None:
    sku = skus.of(row.sku)
    return sku.tier if sku else None
