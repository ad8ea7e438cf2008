"""The seal of a backup: what is opened is what was sealed, whole, or nothing."""

import io
import os
from collections.abc import Iterator

import pytest

from hpns.backup import sealing
from hpns.backup.sealing import PIECE, TAG, Seal, Work
from tenants.problem import ProblemError

# Cheap: what a guess costs is scrypt's affair, and not under test.
CHEAP = Work(log_n=10)
SALT = b"s" * 16
WORDS = "six words that nobody would guess"


@pytest.fixture
def seal() -> Seal:
    return Seal(WORDS, SALT, CHEAP)


def blocks(data: bytes, size: int = 100_000) -> Iterator[bytes]:
    yield from (data[start : start + size] for start in range(0, len(data), size))


def opened(seal: Seal, sealed: bytes, name: str = "a") -> bytes:
    return b"".join(seal.open_(name, io.BytesIO(sealed)))


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 5])
def test_what_is_opened_is_what_was_sealed(seal: Seal, size: int) -> None:
    data = os.urandom(size)
    sealed = b"".join(seal.close("a", blocks(data)))
    assert len(sealed) == size + TAG * max(1, -(-size // PIECE))
    # A byte or two stand in anything by chance.
    assert size < 8 or data[:50] not in sealed
    assert opened(Seal(WORDS, SALT, CHEAP), sealed) == data


def test_what_is_not_whole_is_not_opened(seal: Seal) -> None:
    sealed = b"".join(seal.close("a", blocks(os.urandom(2 * PIECE + 100))))
    piece = PIECE + TAG
    first, second, last = sealed[:piece], sealed[piece : 2 * piece], sealed[2 * piece :]
    for wrong in (
        *(b"", sealed[:-1], sealed + b"x", first + second, first + last, second + first + last, first + first + last),
        *(bytes([sealed[0] ^ 1]) + sealed[1:], sealed[:-1] + bytes([sealed[-1] ^ 1])),
    ):
        with pytest.raises(ProblemError, match="another passphrase, or the file was altered or cut short"):
            opened(seal, wrong)


def test_a_file_is_not_taken_for_another(seal: Seal) -> None:
    sealed = b"".join(seal.close("a", [b"x"]))
    with pytest.raises(ProblemError):
        opened(seal, sealed, "b")
    assert sealed != b"".join(seal.close("b", [b"x"]))


@pytest.mark.parametrize(("words", "salt"), [(WORDS + "!", SALT), (WORDS, b"t" * 16)])
def test_another_passphrase_or_salt_opens_nothing(seal: Seal, words: str, salt: bytes) -> None:
    sealed = b"".join(seal.close("a", [b"x"]))
    with pytest.raises(ProblemError):
        opened(Seal(words, salt, CHEAP), sealed)


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(ProblemError, match="at least 12"):
        Seal("x" * (sealing.SHORTEST - 1), SALT, CHEAP)


@pytest.mark.parametrize("work", [Work(log_n=40), Work(log_n=1), Work(r=9), Work(p=99)])
def test_a_file_cannot_ask_for_work_without_end(work: Work) -> None:
    with pytest.raises(ProblemError, match="altered"):
        Seal(WORDS, SALT, work)
