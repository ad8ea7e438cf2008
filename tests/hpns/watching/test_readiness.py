"""Readiness: what is amiss though pushes go on."""

import asyncio
import time

import pytest
import redis

from delivery.log.rows import ROWS
from delivery.log.writing import WRITTEN_AT
from hpns.watching.readiness import Health, Observer
from tests.hpns.watching.asking import Intake, no_pages


def looked() -> Health:
    """What is known after one look at the stores."""

    async def look() -> Health:
        health = Health()
        await Observer(Intake(), no_pages)._look_at_valkey(health)
        return health

    return asyncio.run(look())


@pytest.mark.django_db
def test_rows_of_the_log_that_wait_for_long_are_amiss_and_keep_no_push_from_being_taken(valkey: redis.Redis) -> None:
    valkey.rpush(ROWS, "a")
    valkey.set(WRITTEN_AT, int(time.time()))
    assert looked().amiss == []
    valkey.set(WRITTEN_AT, int(time.time()) - 600)
    health = looked()
    (text,) = health.amiss
    assert text.startswith("rows of the delivery log have not been written for 60")
    assert not any("delivery log" in text for text in health.missing)
