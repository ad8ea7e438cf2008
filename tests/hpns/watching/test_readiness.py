"""Readiness: what is amiss though pushes go on."""

import time

import pytest
import redis

from delivery.log.rows import ROWS
from delivery.log.writing import WRITTEN_AT
from hpns.watching import readiness

pytestmark = pytest.mark.django_db


def test_rows_of_the_log_that_wait_for_long_are_amiss_and_keep_no_push_from_being_taken(valkey: redis.Redis) -> None:
    valkey.rpush(ROWS, "a")
    valkey.set(WRITTEN_AT, int(time.time()))
    assert not any("delivery log" in text for text in readiness.check().amiss)
    valkey.set(WRITTEN_AT, int(time.time()) - 600)
    health = readiness.check()
    (text,) = [text for text in health.amiss if "delivery log" in text]
    assert text.startswith("rows of the delivery log have not been written for 60")
    assert not any("delivery log" in text for text in health.missing)
