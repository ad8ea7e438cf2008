"""The ids of rows as tests read them: a test that asks for a push by its id finds it, whatever its id is made of."""

import random

import pytest
from django.db import connection

from delivery.protocol import mattermost_id
from tests.log_as_text import as_text
from tests.stage import a_push


def found(packed: bytes | None) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {as_text('id')} FROM (VALUES (%s::bytea)) AS packed (id)", [packed])  # noqa: S608
        (text,) = cursor.fetchone()
    assert isinstance(text, str)
    return text


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["", "walls-apple", "rückweg", "x" * 15, "x" * 16, "4rfzbq3nei8aujh5ws9y6o1mka"])
def test_an_id_and_a_text_are_read_as_they_were_sent(text: str) -> None:
    assert found(mattermost_id.pack(text)) == text


@pytest.mark.django_db
def test_ids_of_any_bits_are_read_as_they_were_sent() -> None:
    chance = random.Random(7)  # noqa: S311  no secret
    packed = [chance.randbytes(16) for _ in range(200)] + [bytes(16), b"\xff" * 16]
    assert [found(each) for each in packed] == [mattermost_id.unpack(each) for each in packed]


def test_some_ids_of_our_pushes_are_packed_and_some_are_not() -> None:
    lengths = {len(mattermost_id.pack(a_push()["ack_id"]) or b"") for _ in range(2_000)}
    assert lengths == {16, 27}
