"""Rows that the version before has left in Valkey: an update loses none of them."""

from collections.abc import Iterator

import pytest
import redis

from delivery.log import rows, writing
from delivery.models import Delivery, Minute
from delivery.protocol import mattermost_id
from tests.delivery.log.test_writing import a_row

pytestmark = pytest.mark.django_db

# As the version wrote it that knew no posts.
EARLIER = (
    "{trace}\t2026-09-21 14:13:20.123+00\t2026-09-21 14:13:20.623+00\t1\t2\t3\t4\tapple_rn-v2\tmessage\t\t{ack}\t"
    "server\tffffffffffffffffffffffffffffffff\t900\tsent\tsent\tOK\tnone\tt\t[]\t1\n"
)
AN_ID = mattermost_id.unpack(bytes(range(16)))


@pytest.fixture
def store(valkey_url: str) -> Iterator[redis.Redis]:
    """An empty Valkey."""
    with redis.Redis.from_url(valkey_url) as valkey:
        yield valkey


def test_they_are_written_and_counted_with_those_of_today(store: redis.Redis) -> None:
    acks = {"t-1": AN_ID, "t-2": "", "t-3": r"a\\b\tc"}
    earlier = [EARLIER.format(trace=trace, ack=ack).encode() for trace, ack in acks.items()]
    store.rpush(rows.ROWS, b"".join(earlier), a_row("t-4"))
    assert writing.write(store) == 4
    assert not store.exists(writing.REJECTED)
    found = dict(Delivery.objects.values_list("trace", "ack_id"))
    assert found == {"t-1": AN_ID, "t-2": "", "t-3": "a\\b\tc", "t-4": "ack"}
    assert Delivery.objects.get(ack_id=AN_ID).post_id == ""
    assert sum(Minute.objects.filter(grain=1).values_list("pushes", flat=True)) == 4


def test_nonsense_beside_them_is_kept_aside_alone(store: redis.Redis) -> None:
    nonsense = b"\t".join([b"\xff"] * 21) + b"\n"
    store.rpush(rows.ROWS, EARLIER.format(trace="t-1", ack=AN_ID).encode() + nonsense + b"more\n")
    assert writing.write(store) == 1
    assert store.llen(writing.REJECTED) == 2
