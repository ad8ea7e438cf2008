"""The rules of REMOVE: what each answer of the providers needs before a device is removed for it."""

import re
from pathlib import Path
from typing import Any, Final

import pytest

from delivery.insight import catalogue
from delivery.outcomes import removal
from delivery.outcomes.removal import Counts, Decision
from delivery.outcomes.verdict import ANSWERED, Answer, Attempt, Outcome
from delivery.providers import table
from tenants.providers.table import PROVIDERS

PROVEN: Final = Counts(accepted=100, gone=0, doubtful=1)
LONG: Final = 100_000.0
ROOT: Final = Path(__file__).parents[3]


def decide(**given: Any) -> Decision:
    """What is decided about a doubtful answer of a credential that has proven itself, but for what is given."""
    usual = {
        "by_itself": False,
        "is_back": False,
        "since_change": LONG,
        "is_held": False,
        "is_released": False,
        "counts": PROVEN,
        "since_first": removal.REPEATED,
    }
    return removal.decide(**{**usual, **given})


def test_an_app_that_has_registered_since_is_there_whatever_else_is_known() -> None:
    for by_itself in (True, False):
        assert decide(by_itself=by_itself, is_back=True, is_released=True) is Decision.REGISTERED


def test_what_means_it_by_itself_is_believed_of_a_credential_of_which_nothing_is_known() -> None:
    assert decide(by_itself=True, counts=None, since_first=None) is Decision.BELIEVED


@pytest.mark.parametrize("by_itself", [True, False])
def test_nothing_is_believed_right_after_the_credential_changed(by_itself: bool) -> None:
    assert decide(by_itself=by_itself, since_change=removal.AFTER_CHANGE - 1) is Decision.AFTER_CHANGE
    assert decide(by_itself=by_itself, since_change=-float("inf"), is_released=True) is Decision.AFTER_CHANGE


@pytest.mark.parametrize("by_itself", [True, False])
def test_nothing_is_believed_while_the_fuse_has_tripped_unless_somebody_lifts_it(by_itself: bool) -> None:
    tripped = Counts(accepted=50, doubtful=6)
    assert decide(by_itself=by_itself, counts=tripped) is Decision.HELD
    assert decide(by_itself=by_itself, is_held=True) is Decision.HELD
    assert decide(by_itself=by_itself, counts=tripped, is_released=True) in (Decision.BELIEVED, Decision.PROVEN)


def test_a_doubtful_answer_is_believed_when_it_is_repeated_and_the_credential_was_accepted_for_others() -> None:
    assert decide() is Decision.PROVEN
    assert decide(since_first=None) is Decision.FIRST
    assert decide(since_first=removal.REPEATED - 0.1) is Decision.FIRST
    assert decide(counts=None) is Decision.UNPROVEN
    assert decide(counts=Counts(accepted=removal.PROOF - 1)) is Decision.UNPROVEN


def test_nobodys_word_takes_the_place_of_the_proof() -> None:
    assert decide(is_released=True, counts=Counts(accepted=0, doubtful=4)) is Decision.UNPROVEN


@pytest.mark.parametrize(
    ("counts", "trips"),
    [
        (Counts(0, 0, 4), False),
        (Counts(0, 0, 5), True),
        (Counts(95, 0, 5), False),
        (Counts(94, 0, 5), True),
        (Counts(10_000, 0, 400), False),
        (Counts(10_000, 0, 600), True),
        (Counts(10_000_000, 0, removal.MOST), True),
        (Counts(0, 19, 0), False),
        (Counts(0, 20, 0), True),
        (Counts(30, 25, 0), False),
        (Counts(1_000, 300, 0), False),
    ],
)
def test_the_fuse_trips_at_five_percent_and_five_doubted_tokens_or_when_half_of_many_are_gone(
    counts: Counts, trips: bool
) -> None:
    assert counts.has_tripped is trips


def test_a_believed_doubtful_answer_is_a_remove_of_a_code_of_its_own() -> None:
    assert set(table.PROVEN) == {
        *("apns_bad_device_token", "apns_device_token_not_for_topic", "apns_missing_device_token"),
        "fcm_sender_id_mismatch",
    }
    for code, proven in table.PROVEN.items():
        doubted = table.verdict_of(code)
        assert doubted is not None
        assert (doubted.answer, doubted.outcome) == (Answer.FAIL, Outcome.REFUSED)
        assert (proven.answer, proven.outcome, proven.attribution) == (Answer.REMOVE, Outcome.GONE, "device")
        assert table.verdict_of(proven.code) is proven
        entry = catalogue.entry(proven.code)
        assert entry is not None
        assert (entry.answer, entry.provider) == ("REMOVE", code.partition("_")[0])
        assert entry.replies == catalogue.ENTRIES[code].replies


def test_the_codes_of_what_is_kept_are_in_the_catalogue_without_a_placeholder() -> None:
    for verdict in removal.ROWS:
        entry = catalogue.entry(verdict.code)
        assert entry is not None
        assert not re.search(r"[{}]", entry.title + entry.advice)


def _documented() -> dict[tuple[str, int, str], str]:
    """The table of ARCHITECTURE.md: what each answer needs to become REMOVE."""
    families = {row.name: family for family, row in PROVIDERS.items()}
    found = {}
    lines = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()
    for line in lines[lines.index("| Provider | Answer | REMOVE |") + 2 :]:
        if not line.startswith("|"):
            return found
        name, answers, needs = (cell.strip() for cell in line.strip("|").split("|"))
        for status, reason in re.findall(r"`(\d+) ([^`]+)`", answers):
            found[families[name], int(status), reason] = needs
    return found


DOCUMENTED: Final = _documented()


def test_the_table_of_the_documents_has_every_answer_of_both_providers_and_no_other() -> None:
    known = {
        (family, *key)
        for family, outcomes in table.OUTCOMES.items()
        for key, verdict in outcomes.answers.items()
        if verdict.answer is not Answer.OK
    }
    assert set(DOCUMENTED) == known


@pytest.mark.parametrize(("family", "status", "reason"), DOCUMENTED)
def test_an_answer_needs_what_the_table_of_the_documents_says(family: str, status: int, reason: str) -> None:
    verdict = table.judge(Attempt(family, "h", status, reason, ANSWERED, 0.0, 1))
    needs = {"by itself": (Answer.REMOVE, False), "proven": (Answer.FAIL, True), "never": (Answer.FAIL, False)}
    assert (verdict.answer, verdict.remove_when_proven) == needs[DOCUMENTED[family, status, reason]]
    assert (verdict.code in table.PROVEN) is verdict.remove_when_proven
