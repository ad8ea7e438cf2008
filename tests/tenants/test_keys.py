"""The form of a server's key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants import keys

HASH_KEY = b"k" * 32


def test_a_new_key_reads_prefix_and_secret_and_is_found_again_by_its_digest() -> None:
    text, prefix, digest = keys.new_key(HASH_KEY)
    assert text.startswith(f"hk_{prefix}_")
    assert len(text) == keys.LENGTH == 44
    assert keys.parse(text) == (prefix, text[-32:])
    assert keys.digest(text, HASH_KEY) == digest
    assert len(digest) == 32


def test_no_two_keys_are_alike() -> None:
    made = [keys.new_key(HASH_KEY) for _ in range(200)]
    assert len({text for text, _, _ in made}) == len({prefix for _, prefix, _ in made}) == 200


def test_the_digest_depends_on_the_hash_key_and_on_every_part_of_the_key() -> None:
    text, _, digest = keys.new_key(HASH_KEY)
    assert keys.digest(text, b"other" * 8) != digest
    for at in (0, 5, len(text) - 1):
        other = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        assert keys.digest(other, HASH_KEY) != digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hk_",
        "hk_12345678_" + "x" * 31,
        "hk_12345678_" + "x" * 33,
        "hk-12345678_" + "x" * 32,
        "hk_12345678-" + "x" * 32,
        "HK_12345678_" + "x" * 32,
        "hk_1234567/_" + "x" * 32,
        "hk_12345678_" + "x" * 31 + "\n",
        "hk_12345678_" + "x" * 31 + "é",
        "hk_1234567²_" + "x" * 32,
        "hk_12345678_" + "x" * 31 + "٣",
    ],
)
def test_what_only_resembles_a_key_is_none(text: str) -> None:
    assert keys.parse(text) is None


@given(st.text(max_size=60))
def test_any_text_is_parsed_without_an_error(text: str) -> None:
    parts = keys.parse(text)
    assert parts is None or text == f"hk_{parts[0]}_{parts[1]}"
