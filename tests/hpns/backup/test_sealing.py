"""The seal of a backup: what is opened is what was sealed, whole, or nothing; and any age opens it."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pyrage
import pytest

from hpns.backup import age_passphrase
from hpns.backup.sealing import Seal
from tenants.problem import ProblemError
from tests.stage import ROOT

WORDS = "six words that nobody would guess"
CHUNK, TAG = 65_536, 16
"""age's own."""


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a guess costs is scrypt's affair, and not under test."""
    monkeypatch.setattr(age_passphrase, "LOG_N", 10)


@pytest.fixture
def seal() -> Seal:
    return Seal.new("a", "b")


def blocks(data: bytes, size: int = 100_000) -> Iterator[bytes]:
    yield from (data[start : start + size] for start in range(0, len(data), size))


def closed(seal: Seal, data: bytes, part: str = "a") -> bytes:
    sink = io.BytesIO()
    seal.close(part, blocks(data), sink)
    return sink.getvalue()


def opened(seal: Seal, sealed: bytes, part: str = "a") -> bytes:
    sink = io.BytesIO()
    seal.open_(part, io.BytesIO(sealed), sink)
    return sink.getvalue()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 5, 2_000_000])
def test_what_is_opened_is_what_was_sealed(seal: Seal, size: int) -> None:
    data = os.urandom(size)
    sealed = closed(seal, data)
    assert size < 50 or data[:50] not in sealed
    assert opened(Seal.opened(seal.identity_file(WORDS), WORDS), sealed) == data


def test_whoever_has_the_passphrase_and_any_age_opens_it(seal: Seal) -> None:
    sealed = closed(seal, b"x" * 200_000, "b")
    text = pyrage.passphrase.decrypt(seal.identity_file(WORDS), WORDS).decode()
    assert [line for line in text.splitlines() if line.startswith("#")] == ["# opens a.age", "# opens b.age"]
    keys = [pyrage.x25519.Identity.from_str(line) for line in text.splitlines() if line.startswith("AGE-SECRET-KEY-1")]
    assert pyrage.decrypt(sealed, keys) == b"x" * 200_000
    for key in keys:
        assert str(key.to_public()).encode() not in sealed + text.encode(), "whoever knew it could seal another one"


def test_blocks_of_any_size_are_one_stream(seal: Seal) -> None:
    sink = io.BytesIO()
    seal.close("a", [b"", b"one", b"", b"two" * 50_000, b""], sink)
    assert opened(seal, sink.getvalue()) == b"one" + b"two" * 50_000


def test_what_is_not_whole_is_not_opened(seal: Seal) -> None:
    sealed = closed(seal, os.urandom(2 * CHUNK + 100))
    head = len(sealed) - (2 * CHUNK + 100 + 3 * TAG)
    start, chunk = sealed[:head], CHUNK + TAG
    first, second, last = (sealed[head:][place : place + chunk] for place in (0, chunk, 2 * chunk))
    assert start + first + second + last == sealed
    for wrong in (
        *(b"", start, sealed[:40], sealed[:-1], sealed + b"x", start + first + second, start + first + last),
        *(start + second + first + last, start + first + first + last, sealed[:-1] + bytes([sealed[-1] ^ 1])),
        *(sealed[:head] + bytes([sealed[head] ^ 1]) + sealed[head + 1 :], b"x" + sealed, sealed.replace(b"X", b"Y", 1)),
    ):
        with pytest.raises(ProblemError, match=r"^a\.age cannot be opened: it was altered or cut short") as raised:
            opened(seal, wrong)
        assert "\n" not in str(raised.value)


def test_a_piece_that_was_altered_is_not_given_out(seal: Seal) -> None:
    sealed = bytearray(closed(seal, b"x" * (10 * CHUNK)))
    sealed[-5 * CHUNK] ^= 1
    sink = io.BytesIO()
    with pytest.raises(ProblemError):
        seal.open_("a", io.BytesIO(bytes(sealed)), sink)
    assert sink.getvalue() in (b"x" * (number * CHUNK) for number in range(6))


def test_a_file_is_not_taken_for_another(seal: Seal) -> None:
    sealed = closed(seal, b"x")
    for other in (seal, Seal.new("b")):
        with pytest.raises(ProblemError, match="or is of another backup"):
            opened(other, sealed, "b")
    with pytest.raises(ProblemError, match=r"identity\.age was altered: it does not open c\.age"):
        opened(seal, sealed, "c")


def test_another_passphrase_opens_nothing(seal: Seal) -> None:
    with pytest.raises(ProblemError, match=r"^identity\.age cannot be opened: another passphrase"):
        Seal.opened(seal.identity_file(WORDS), WORDS + "!")


def test_an_identity_file_that_was_altered_is_told(seal: Seal) -> None:
    sealed = seal.identity_file(WORDS)
    for wrong in (b"", sealed[:-1], sealed[:60], sealed + b"x", sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed * 900):
        with pytest.raises(ProblemError, match=r"^identity\.age .*altered") as raised:
            Seal.opened(wrong, WORDS)
        assert "\n" not in str(raised.value)
    for content in (b"something else", b"# opens a.age\nAGE-SECRET-KEY-1X\n", b"# opens a.age\n", b"\xff\xff\n\xff"):
        with pytest.raises(ProblemError, match="it holds something else than identities"):
            Seal.opened(age_passphrase.seal(content, WORDS), WORDS)


@pytest.mark.parametrize("log_n", [b"21", b"63", b"99"])
def test_a_file_cannot_ask_for_work_without_end(seal: Seal, log_n: bytes) -> None:
    sealed = seal.identity_file(WORDS).replace(b" 10\n", b" " + log_n + b"\n", 1)
    with pytest.raises(ProblemError, match="it asks for work that no backup asks for"):
        Seal.opened(sealed, WORDS)


def test_a_short_passphrase_is_refused(seal: Seal) -> None:
    with pytest.raises(ProblemError, match="at least 12"):
        seal.identity_file("x" * (age_passphrase.PASSPHRASE_MIN_LENGTH - 1))


def test_a_guess_costs_as_much_as_was_decided(seal: Seal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert seal.identity_file(WORDS).split(b"\n")[1].split()[-1] == b"17"


class Trouble(Exception):
    """Of a test."""


@pytest.mark.parametrize("trouble", [Trouble, OSError, KeyboardInterrupt, BrokenPipeError])
def test_what_goes_wrong_on_either_side_is_raised_as_it_is(seal: Seal, trouble: type[BaseException]) -> None:
    def failing() -> Iterator[bytes]:
        yield b"x" * 300_000
        raise trouble("of the source")

    class Failing(io.BytesIO):
        def write(self, data: Any) -> int:
            raise trouble("of the sink")

        def read(self, size: int | None = -1) -> bytes:
            raise trouble("of the file")

    with pytest.raises(trouble, match="of the source"):
        seal.close("a", failing(), io.BytesIO())
    with pytest.raises(trouble, match="of the sink"):
        seal.close("a", [b"x" * 300_000], Failing())
    with pytest.raises(trouble, match="of the file"):
        seal.open_("a", Failing(), io.BytesIO())
    with pytest.raises(trouble, match="of the sink"):
        seal.open_("a", io.BytesIO(closed(seal, b"x" * 300_000)), Failing())


MEASURED = """
import resource, sys
from hpns.backup.sealing import Seal
seal, size = Seal.new("a"), int(sys.argv[1])
def blocks():
    for _ in range(size):
        yield bytes(1 << 20)
class Counting:
    count = 0
    def write(self, data):
        self.count += len(data)
        return len(data)
with open(sys.argv[2], "wb") as file:
    seal.close("a", blocks(), file)
sink = Counting()
with open(sys.argv[2], "rb") as file:
    seal.open_("a", file, sink)
assert sink.count == size << 20
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_a_longer_stream_takes_no_more_memory(tmp_path: Any) -> None:
    def kilobytes(megabytes: int) -> int:
        command = [sys.executable, "-c", MEASURED, str(megabytes), str(tmp_path / "sealed")]
        return int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)

    assert kilobytes(200) < kilobytes(2) + 20_000
