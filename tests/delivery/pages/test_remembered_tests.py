"""A session keeps what the latest test pushes were answered, and not of all of them."""

from types import SimpleNamespace
from typing import Any, cast

from delivery.pages import trial_push
from delivery.pages.trial_push import REMEMBERED, TOLD


def test_only_the_latest_answers_are_kept() -> None:
    request = SimpleNamespace(session={})
    for number in range(REMEMBERED + 5):
        trial_push._remember(cast(Any, request), f"ack{number}", {"status": "OK"})
    assert list(request.session[TOLD]) == [f"ack{number}" for number in range(5, REMEMBERED + 5)]
