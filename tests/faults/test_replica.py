"""What is OK because it is queued is on a replica, too, where one follows: one that lags makes it FAIL."""

import pytest

from tests import replica
from tests.faults.pushes import DEADLINE, GIVEN_UP, PushAnswer, iphone, push
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for


@pytest.fixture
def stage(bent_service: Stage) -> Stage:
    """A service whose Valkey may be bent."""
    return bent_service


def late(stage: Stage) -> PushAnswer:
    """A push that its provider asks to wait for longer than its server does."""
    return push(stage, device_id=iphone(), post_id="p" * 26)


def test_a_late_push_is_ok_only_as_long_as_the_replica_keeps_up(stage: Stage) -> None:
    stage.sandbox.script(
        "*", {"status": 503, "json": {"reason": "ServiceUnavailable"}, "headers": {"retry-after": "20"}}
    )
    try:
        with replica.following(stage):
            wait_for(lambda: late(stage).status == "OK", PATIENCE, "it keeps up")
            with stage.paused(replica.NAME):
                unsaved = late(stage)
            assert (unsaved.code, unsaved.seconds < GIVEN_UP) == ("queue_unsaved", True)
            assert unsaved.seconds >= DEADLINE - 0.5
            wait_for(lambda: late(stage).status == "OK", PATIENCE, "it keeps up again")
    finally:
        stage.sandbox.clear_scripts()
