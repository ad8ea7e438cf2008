"""Leases go by Valkey's clock: what becomes of them when it is set back."""

import redis

from hpns.celery import commands
from tests.hpns.celery.conftest import QUEUE

MESSAGE = b'{"properties": {"delivery_info": {"redelivered":false}}}'


def test_a_lease_from_before_valkeys_clock_was_set_back_lapses_in_the_usual_time(store: redis.Redis) -> None:
    now = store.time()[0]
    store.zadd("workers", {"dead": now + 7200})
    store.rpush(f"taken:dead:{QUEUE}", MESSAGE)
    assert store.eval(commands.REQUEUE_EXPIRED, 0, "", QUEUE) == 0
    renewed = store.zscore("workers", "dead")
    assert renewed is not None
    assert abs(renewed - now) < 60
    store.zadd("workers", {"dead": renewed - commands.LEASE_SECONDS - 1})
    assert store.eval(commands.REQUEUE_EXPIRED, 0, "", QUEUE) == 1
    assert store.llen(QUEUE) == 1
