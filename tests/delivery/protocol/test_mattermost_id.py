"""Ids of Mattermost in as few bytes as they have: nothing of any text is lost, here and in the database."""

from typing import Final

import pytest
from django.db import connection
from hypothesis import example, given
from hypothesis import strategies as st

from delivery.protocol import mattermost_id

# As servers have sent them.
IDS: Final = ("8uo3dygm47bpprupsc6mqm5u5e", "zwed73333g63dcrphk8idgyjgz"[:25] + "y", "y" * 26, "9" * 25 + "h")
# Texts that are none, each of another kind: the last character has bits that no id has; too short; other letters.
TEXTS: Final = (
    *("9" * 26, "a", "ack-1", "8UO3DYGM47BPPRUPSC6MQM5U5E", "8uo3dygm47bpprupsc6mqm5u5", "8uo3dygm47bpprupsc6mqm5u5e "),
    *(
        "l" * 26,
        "é" * 26,
        "x" * 14,
        "x" * 15,
        "x" * 16,
        "é" * 7 + "x",
        "😀" * 16,
        "_" * 26,
        "+8uo3dygm47bpprupsc6mqm5ue",
    ),
    *("\\x", "a\\b", "a'b", "a\tb\n", "0" * 26, "٣" * 26, "x" * 64),
)


@pytest.mark.parametrize("text", IDS)
def test_an_id_is_sixteen_bytes(text: str) -> None:
    packed = mattermost_id.pack(text)
    assert packed is not None
    assert len(packed) == 16
    assert mattermost_id.unpack(packed) == text
    assert mattermost_id.copy_text(text) == f"\\\\x{packed.hex()}"


@pytest.mark.parametrize("text", TEXTS)
def test_any_other_text_is_kept_and_is_never_sixteen_bytes(text: str) -> None:
    packed = mattermost_id.pack(text)
    assert packed is not None
    assert len(packed) != 16
    assert mattermost_id.unpack(packed) == text
    assert mattermost_id.copy_text(text) == f"\\\\x{packed.hex()}"


def test_nothing_is_null() -> None:
    assert mattermost_id.pack("") is None
    assert mattermost_id.unpack(None) == ""
    assert mattermost_id.copy_text("") == "\\N"


@given(st.one_of(st.binary(min_size=16, max_size=16).map(mattermost_id.unpack), st.text(max_size=70)))
@example("x" * 15)
def test_whatever_is_packed_comes_back(text: str) -> None:
    assert mattermost_id.unpack(mattermost_id.pack(text)) == text


@given(st.text(max_size=30), st.text(max_size=30))
def test_different_texts_are_packed_differently(one: str, other: str) -> None:
    assert (mattermost_id.pack(one) == mattermost_id.pack(other)) == (one == other)


ANY_TEXT: Final = st.one_of(
    st.sampled_from((*IDS, *TEXTS, "")), st.text(mattermost_id.ALPHABET, min_size=26, max_size=26)
)


@given(ANY_TEXT, ANY_TEXT)
def test_two_ids_at_once_are_packed_as_each_of_them(one: str, other: str) -> None:
    pair = f"{mattermost_id.copy_text(one)}\t{mattermost_id.copy_text(other)}"
    assert mattermost_id.copy_texts(one, other) == pair


@pytest.mark.django_db
@given(
    st.lists(
        st.one_of(
            st.binary(min_size=16, max_size=16).map(mattermost_id.unpack),
            st.text(alphabet=mattermost_id.ALPHABET, min_size=24, max_size=28),
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40),
        ),
        max_size=60,
    )
)
@example([*IDS, *TEXTS, ""])
def test_the_migration_packs_the_old_rows_alike(texts: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT hpns_mattermost_id(id) FROM unnest(%s::text[]) WITH ORDINALITY AS t (id, n) ORDER BY n", [texts]
        )
        found = [None if packed is None else bytes(packed) for (packed,) in cursor.fetchall()]
    assert found == [mattermost_id.pack(text) for text in texts]
