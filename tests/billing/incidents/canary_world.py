"""Answers in the place of the network, and rows of the canary, for its tests."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from billing.incidents.http_client import Request, Response
from billing.models import PAGES, CanaryMinute

NOW: Final = datetime(2026, 11, 29, 14, 30, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
DEVICES: Final = [f"apple_rn-v2:{'ca' * 32}", "android_rn-v2:canary:token"]
OK: Final = Response(200, b'{"status":"OK"}', "", 0.05)
PAGE: Final = Response(200, b"<html>", "", 0.02)


def fail(error: str) -> Response:
    """A FAIL with this text."""
    return Response(200, json.dumps({"status": "FAIL", "error": error}).encode(), "", 0.05)


class Network:
    """Stands in for http_client.exchange(): what each push and the look at the pages are answered."""

    def __init__(self, push: Callable[[int], Response] = lambda _: OK, page: Response = PAGE) -> None:
        self.push, self.page = push, page
        self.sent: list[Request] = []

    def __call__(self, requests: Sequence[Request], _seconds: float) -> list[Response]:
        self.sent += requests
        pushes = [self.push(number) for number in range(len(requests) - 1)]
        return [*pushes, self.page]


def beats(minutes: Iterable[datetime], *, good: bool = True, whose: str = "ours", why: str = "queue_down") -> None:
    """Rows of the canary, alike for everything that it looks at."""
    CanaryMinute.objects.bulk_create(
        CanaryMinute(at=at, family=family, good=good, ms=50, why="" if good else why, whose="" if good else whose)
        for at in minutes
        for family in ("apns", "fcm", PAGES)
    )


def since(start: datetime, count: int) -> list[datetime]:
    """So many minutes from one on."""
    return [start + MINUTE * number for number in range(count)]
