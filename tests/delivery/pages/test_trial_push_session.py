"""A session keeps what the latest test pushes were answered, and not of all of them."""

from types import SimpleNamespace
from typing import Any, cast

from delivery.pages import trial_push
from delivery.pages.trial_push import REMEMBERED_MOST, SESSION_KEY


def test_only_the_latest_answers_are_kept() -> None:
    request = SimpleNamespace(session={})
    for number in range(REMEMBERED_MOST + 5):
        trial_push._remember(cast(Any, request), f"ack{number}", {"status": "OK"})
    assert list(request.session[SESSION_KEY]) == [f"ack{number}" for number in range(5, REMEMBERED_MOST + 5)]
