"""The canonical day file, the hash chain and the Merkle tree."""

import hashlib
import random
from datetime import date

import pytest

from billing.sla import ledger
from billing.sla.ledger import LedgerError
from tests.billing.sla.months import at, correction, random_rows, row

DAY = date(2026, 11, 29)


def test_a_day_file_is_read_as_it_was_written() -> None:
    dice = random.Random(3)  # noqa: S311  a test's
    earlier = random_rows(dice, date(2026, 11, 3), 30)
    own, filed = random_rows(dice, DAY, 200), [correction(dice, one) for one in earlier]
    content = ledger.day_file(reversed(own), filed)
    assert ledger.read_file(DAY, content) == (own, filed)
    assert b"\r" not in content
    assert content.startswith(b"minute,valid,failed_ours,failed_provider,failed_customer,failed_device,le_1s,le_3s,")


def test_a_line_reads_as_it_is_documented() -> None:
    text = "2026-11-29T00:01Z,20,2,1,0,2,9,18,good,bad,failures"
    assert ledger.line(row(at("2026-11-29T00:01"), 20, 2)) == text
    assert ledger.parsed(text) == row(at("2026-11-29T00:01"), 20, 2)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-29T00:01Z,020,2,1,0,2,9,18,good,bad,failures",
        "2026-11-29T00:01Z,+20,2,1,0,2,9,18,good,bad,failures",
        "2026-11-29T00:61Z,20,2,1,0,2,9,18,good,bad,failures",
        "2026-11-29T0:01Z,20,2,1,0,2,9,18,good,bad,failures",
        "2026-11-29T00:01Z,20,21,1,0,2,9,18,good,bad,failures",
        "2026-11-29T00:01Z,20,2,1,0,2,19,18,good,bad,failures",
        "2026-11-29T00:01Z,20,2,1,0,2,9,18,well,bad,failures",
        "2026-11-29T00:01Z,20,2,1,0,2,9,18,good,fine,failures",
        "2026-11-29T00:01Z,20,2,1,0,2,9,18,good,bad",
    ],
)
def test_what_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(LedgerError):
        ledger.read_file(DAY, f"{ledger.HEADER}\n{text}\n".encode())


def test_rows_out_of_order_or_of_another_day_are_refused() -> None:
    one, two = ledger.line(row(at("2026-11-29T00:01"), 1, 0)), ledger.line(row(at("2026-11-29T00:02"), 1, 0))
    other = ledger.line(row(at("2026-11-28T00:02"), 1, 0))
    for lines in ((two, one), (one, one), (other,), (one, other)):
        with pytest.raises(LedgerError):
            ledger.read_file(DAY, "\n".join((ledger.HEADER, *lines, "")).encode())


def test_the_tree_is_that_of_rfc_6962() -> None:
    def digest(data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    heads = [bytes([n]) * 32 for n in range(3)]
    a, b, c = (digest(b"\x00" + head) for head in heads)
    assert ledger.root([]) == digest(b"")
    assert ledger.root(heads[:1]) == a
    assert ledger.root(heads) == digest(b"\x01" + digest(b"\x01" + a + b) + c)
    assert ledger.proof(heads, 0) == [b, c]
    assert ledger.proof(heads, 2) == [digest(b"\x01" + a + b)]


def test_every_head_of_trees_of_many_sizes_is_proven_and_no_other() -> None:
    for size in range(1, 34):
        heads = [bytes([n]) * 32 for n in range(size)]
        tree = ledger.root(heads)
        assert ledger.proofs(heads) == [ledger.proof(heads, index) for index in range(size)]
        for index, head in enumerate(heads):
            path = ledger.proof(heads, index)
            assert ledger.proven_root(head, index, size, path) == tree
            assert ledger.proven_root(head, (index + 1) % (size + 1), size, path) != tree
            assert ledger.proven_root(b"x" * 32, index, size, path) != tree
            assert ledger.proven_root(head, index, size, [*path, b"x" * 32]) != tree


def test_the_chain_begins_with_the_public_id() -> None:
    head = ledger.genesis("0e3c7b1a-0000-4000-8000-000000000001")
    assert head == hashlib.sha256(b"sla-1\n0e3c7b1a-0000-4000-8000-000000000001\n").digest()
    assert ledger.chained(head, b"f" * 32) == hashlib.sha256(head + b"f" * 32).digest()
