"""Backups of the first format are opened still: what is opened is what was sealed, whole, or nothing."""

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from hpns.backup import folder
from hpns.backup.first_format import CHUNK_BYTES, TAG, FirstSeal
from tenants.problem import ProblemError
from tests.hpns.backup.first_format_writer import CHEAP, clear, sealed

WORDS = "six words that nobody would guess"
KEPT = Path(__file__).parent / "of_the_first_format"
"""Made by the last version that made such backups."""


def opened(words: str, content: bytes, part: str = "a", described: dict[str, Any] | None = None) -> bytes:
    sink = io.BytesIO()
    FirstSeal(words, described or clear()).open_(part, io.BytesIO(content), sink)
    return sink.getvalue()


def test_a_backup_that_an_older_version_made_is_opened() -> None:
    backup = folder.opened(KEPT, WORDS)
    assert (backup.made_at, backup.version) == ("2026-11-30T01:00:00+00:00", "0.1.0")
    keys, database = io.BytesIO(), io.BytesIO()
    backup.read(folder.KEYS, keys)
    backup.read(folder.DATABASE, database)
    assert json.loads(keys.getvalue())["settings"]["SECRET_KEY"] == "secret of the first format"
    assert database.getvalue() == b"PGDMP of the first format"


def test_another_passphrase_and_an_altered_file_of_an_older_version_are_told(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=r"keys\.sealed cannot be opened: another passphrase"):
        folder.opened(KEPT, WORDS + "!").read(folder.KEYS, io.BytesIO())
    copy = shutil.copytree(KEPT, tmp_path / "copy")
    content = (copy / "keys.sealed").read_bytes()
    (copy / "keys.sealed").write_bytes(content[:-1])
    with pytest.raises(ProblemError, match="altered or cut short"):
        folder.opened(copy, WORDS).read(folder.KEYS, io.BytesIO())


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES + 5])
def test_what_is_opened_is_what_was_sealed(size: int) -> None:
    data = os.urandom(size)
    assert opened(WORDS, sealed(WORDS, "a", data)) == data


def test_what_is_not_whole_is_not_opened() -> None:
    content = sealed(WORDS, "a", os.urandom(2 * CHUNK_BYTES + 100))
    chunk = CHUNK_BYTES + TAG
    first, second, last = content[:chunk], content[chunk : 2 * chunk], content[2 * chunk :]
    for wrong in (
        *(b"", content[:-1], content + b"x", first + second, first + last, second + first + last),
        *(first + first + last, bytes([content[0] ^ 1]) + content[1:], content[:-1] + bytes([content[-1] ^ 1])),
    ):
        with pytest.raises(ProblemError, match="another passphrase, or the file was altered or cut short"):
            opened(WORDS, wrong)


def test_a_file_is_not_taken_for_another() -> None:
    with pytest.raises(ProblemError):
        opened(WORDS, sealed(WORDS, "a", b"x"), "b")


@pytest.mark.parametrize(("words", "changes"), [(WORDS + "!", {}), (WORDS, {"salt": (b"t" * 16).hex()})])
def test_another_passphrase_or_salt_opens_nothing(words: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ProblemError):
        opened(words, sealed(WORDS, "a", b"x"), described=clear(**changes))


@pytest.mark.parametrize("changed", [{"log_n": 40}, {"log_n": 1}, {"r": 9}, {"p": 99}])
def test_a_file_cannot_ask_for_work_without_end(changed: dict[str, int]) -> None:
    with pytest.raises(ProblemError, match="altered"):
        FirstSeal(WORDS, clear(scrypt={**CHEAP, **changed}))


@pytest.mark.parametrize("changes", [{"salt": "zz"}, {"salt": None}, {"scrypt": {}}, {"scrypt": 17}])
def test_a_description_that_lacks_something_is_told(changes: dict[str, Any]) -> None:
    with pytest.raises(ProblemError, match=r"backup\.json was altered"):
        FirstSeal(WORDS, clear(**changes))
