"""Platforms that a server was first seen to send for."""

from datetime import timedelta

import pytest

from delivery.devices import absorbing, forgetting, platforms
from delivery.models import PlatformSighting
from tests.delivery.devices.writing import push
from tests.delivery.rollups.pushes import HOUR
from tests.roles import WORKER, acting_as

pytestmark = pytest.mark.django_db


def seen() -> list[tuple[int, str, timedelta]]:
    """What is kept: the server, the platform, and how long after HOUR."""
    rows = PlatformSighting.objects.order_by("first_at", "platform")
    return [(row.server_id, row.platform, row.first_at - HOUR) for row in rows]


def test_a_platform_is_seen_first_with_its_first_push_whatever_order_rows_come_in() -> None:
    push("a", 100, platform="apple_rn-v2")
    push("b", 200, platform="apple_rn-v2")
    push("c", 210, platform="android_rn", server=3)
    push("d", 220, platform="toaster")
    with acting_as(WORKER):
        absorbing.absorb()
    assert seen() == [(2, "apple_rn-v2", timedelta(seconds=100)), (3, "android_rn", timedelta(seconds=210))]
    push("e", 10, platform="apple_rn-v2")
    push("f", 300, platform="apple_rn-v2")
    with acting_as(WORKER):
        absorbing.absorb()
    assert seen()[0] == (2, "apple_rn-v2", timedelta(seconds=10))
    assert len(seen()) == 2


def test_a_server_that_makes_platforms_up_has_few() -> None:
    most = platforms.PLATFORMS_PER_SERVER_MAX
    for number in range(most + 10):
        push(f"p{number}", number * 50, platform=f"apple_rn{number}")
    push("long", 0, platform="apple_" + "x" * 500)
    push("other", 0, platform="apple_rn", server=3)
    absorbing.absorb()
    assert [server for server, _, _ in seen()].count(2) == most
    assert (3, "apple_rn", timedelta(0)) in seen()


def test_platforms_go_with_their_customer_alone() -> None:
    push("a", 0)
    push("b", 0, customer=9, server=8)
    absorbing.absorb()
    forgetting.erase(1)
    assert [server for server, _, _ in seen()] == [8]
