"""Judges whether a licence proves E1 now: a table of what it may be, each with what is wrong and what to do. Pure.

`mhpns` is Mattermost's own word for the service that we are. A licence whose signature is not good never comes here.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from billing.dates import day, last_day
from billing.licences import skus
from billing.licences.file import Licence
from billing.licences.skus import Tier

GRACE: Final = timedelta(days=10)
"""How long a Mattermost server goes on after its licence ends, and so do we."""
TRIALS: Final = (timedelta(days=30, hours=8), timedelta(days=30, hours=23, minutes=59, seconds=59))
"""Exact durations that only trials have (Mattermost's License.IsTrialLicense)."""


class Code(StrEnum):
    """The result of judging, stable: tests and cases go by it."""

    GOOD = "good"
    ENTRY = "entry"  # good, for the terms of the test service
    WAITING = "waiting"  # good, and not started yet
    GRACE = "grace"  # ended, within GRACE
    EXPIRED = "expired"
    CLOUD = "cloud"
    UNKNOWN_SKU = "unknown_sku"
    WITHOUT_HPNS = "without_hpns"
    TRIAL = "trial"


KEPT: Final = frozenset({Code.GOOD, Code.ENTRY, Code.WAITING, Code.GRACE})
"""With these a licence is kept as a proof."""


class Judgement(NamedTuple):
    """What a licence is worth. `counts`: it proves something now. `tier`: what it brings, None where it is refused."""

    code: Code
    tier: Tier | None
    counts: bool
    sentence: str
    what_to_do: str

    @property
    def kept(self) -> bool:
        """Whether it is kept as a proof, for now or for later."""
        return self.code in KEPT


def judge(licence: Licence, now: datetime, *, trials: bool = False) -> Judgement:
    """Judge a licence at a moment. `trials`: whether the operator takes trial licences, too."""
    refused = _refused(licence, trials=trials)
    if refused is not None:
        return refused
    sku = skus.SKUS[licence.sku.strip().lower()]
    return _dated(licence, sku, now)


def is_trial(licence: Licence) -> bool:
    """Whether it is a trial: it says so, or has the duration of one."""
    return licence.is_trial or licence.expires_at - licence.starts_at in TRIALS


def phase(starts_at: datetime, expires_at: datetime, now: datetime) -> Code:
    """Where in its life a licence is: WAITING, GOOD, GRACE or EXPIRED. It counts from its start, to before its end."""
    if now < starts_at:
        return Code.WAITING
    if now < expires_at:
        return Code.GOOD
    return Code.GRACE if now < expires_at + GRACE else Code.EXPIRED


def _refused(licence: Licence, *, trials: bool) -> Judgement | None:
    sku = skus.of(licence.sku)
    if licence.cloud:
        return _no(
            Code.CLOUD,
            "this is a licence of Mattermost Cloud, whose push service Mattermost runs itself",
            "Upload the licence of a server that you run yourselves.",
        )
    if sku is None and licence.mhpns:
        return _no(
            Code.UNKNOWN_SKU,
            f"this licence is good and includes hosted push notifications, but its plan, {licence.sku or 'none'}, is "
            "not known here",
            "Our staff have been told, and can vouch for it; nothing else is to be done.",
        )
    if sku is None:
        return _no(
            Code.UNKNOWN_SKU,
            f"the plan of this licence, {licence.sku or 'none'}, does not include hosted push notifications",
            "They are included from Mattermost Professional on.",
        )
    if sku.tier is Tier.HPNS and not licence.mhpns:
        return _no(
            Code.WITHOUT_HPNS,
            f"hosted push notifications are switched off in this {sku.name} licence",
            "Ask your contact at Mattermost for a licence with them.",
        )
    if is_trial(licence) and not trials:
        return _no(
            Code.TRIAL,
            f"this is a trial licence, good until {last_day(licence.expires_at)}; trials do not include this service",
            "Upload the licence that you buy after it.",
        )
    return None


def _dated(licence: Licence, sku: skus.Sku, now: datetime) -> Judgement:
    found = phase(licence.starts_at, licence.expires_at, now)
    if found is Code.WAITING:
        sentence = f"this {sku.name} licence starts on {day(licence.starts_at)}"
        return Judgement(found, sku.tier, False, sentence, "It counts from that day on, by itself.")
    if found is Code.EXPIRED:
        return _no(
            found,
            f"this licence ended on {last_day(licence.expires_at)}, more than {GRACE.days} days ago",
            "Upload the one that was sent to you when you renewed it.",
        )
    if found is Code.GRACE:
        sentence = f"this {sku.name} licence ended on {last_day(licence.expires_at)}"
        return Judgement(
            found, sku.tier, True, sentence, f"Upload the renewed one by {last_day(licence.expires_at + GRACE)}."
        )
    if sku.tier is Tier.ENTRY:
        limit = f"{licence.push_limit:,} pushes a month" if licence.push_limit else "the test service's limits"
        return Judgement(
            Code.ENTRY,
            sku.tier,
            True,
            f"this is a licence of Mattermost Entry: pushes go by the terms of the test service, with {limit}",
            "The service with its promise is included from Mattermost Professional on.",
        )
    sentence = f"this {sku.name} licence includes the service until {last_day(licence.expires_at)}"
    return Judgement(Code.GOOD, sku.tier, True, sentence, "")


def _no(code: Code, sentence: str, what_to_do: str) -> Judgement:
    return Judgement(code, None, False, sentence, what_to_do)
