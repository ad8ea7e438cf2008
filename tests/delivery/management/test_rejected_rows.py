"""`manage.py rejected_rows`: what the database did not take can be seen, and ended."""

import io
import json
from typing import Any

import pytest
import redis
from django.core.management import call_command
from pytest_django import Settings

from delivery.log import receipt_lines, writing


@pytest.fixture
def kept(store: redis.Redis, valkey_url: str, settings: Settings) -> redis.Redis:
    """Sixty rows and a receipt that were rejected."""
    settings.REDIS_URL = valkey_url
    store.rpush(writing.REJECTED, *[f"row {number}\xff\n".encode("latin-1") for number in range(60)])
    store.rpush(receipt_lines.QUEUE.rejected, b"a receipt\n")
    return store


def run(*words: str) -> Any:
    out = io.StringIO()
    call_command("rejected_rows", *words, stdout=out)
    return json.loads(out.getvalue())


def test_the_latest_rejected_rows_are_listed_and_all_are_counted(kept: redis.Redis) -> None:
    said = run("list")
    assert (said["kept"], len(said["latest"]), said["latest"][-1]) == (60, 50, "row 59\\xff")
    assert said["bytes"] > 60 * 8
    assert run("list", "--kind", "receipts")["latest"] == ["a receipt"]


def test_rejected_rows_are_dropped_and_receipts_only_when_they_are_meant(kept: redis.Redis) -> None:
    assert run("drop") == {"dropped": 60}
    assert (kept.llen(writing.REJECTED), kept.llen(receipt_lines.QUEUE.rejected)) == (0, 1)
    assert run("list") == {"kept": 0, "bytes": 0, "latest": []}
    assert run("drop", "--kind", "receipts") == {"dropped": 1}
