"""What waits in the due list: sealed, bounded, and for longer than it takes to send it."""

import pytest

from delivery.outcomes.verdict import ANSWERED, Attempt
from delivery.queue import batch, due_list
from delivery.worker import attempts, due_item, retries, retry_budget
from delivery.worker.due_item import DueItem
from tenants import vault
from tests.delivery.worker.delivering import a_push


def test_an_item_comes_back_as_it_went() -> None:
    attempt = Attempt("apns", "h", 503, "ServiceUnavailable", ANSWERED, 1.5, 3, retry_after=2.0, detail="x")
    item = batch.Item("trace", 1.25, 1, 2, 3, 100, a_push("token", message="grüß", badge=3, cont_ava=1))
    due = DueItem(item, (attempt,), "abcdef:7", 4)
    cipher = vault.queue_cipher("queue")
    sealed = due_item.seal(cipher, due)
    assert b"token" not in sealed
    back = due_item.unseal(cipher, "trace", sealed)
    assert (back.item, tuple(back.attempts), back.batch_id, back.place) == (item, (attempt,), "abcdef:7", 4)
    with pytest.raises(vault.AlteredError):
        due_item.unseal(cipher, "another", sealed)


def test_the_attempts_that_are_kept_are_bounded_the_first_and_the_last() -> None:
    many = tuple(Attempt("apns", "h", 503, "", ANSWERED, float(at), 3) for at in range(500))
    kept = due_item.bounded(many)
    assert (len(kept), kept[0], kept[-1]) == (due_item.ATTEMPTS_MOST, many[0], many[-1])


def test_a_claim_outlasts_an_attempt_and_its_settlement() -> None:
    assert attempts.LATE_WINDOW + 5 < due_list.CLAIM_SECONDS
    assert retries.NO_BUDGET[0] * retry_budget.FLOOR >= 1
