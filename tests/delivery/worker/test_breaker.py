"""The circuit breaker: when it opens, what it lets through, and when it closes; by a clock of the test's."""

import random

import pytest

from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import ANSWERED, MAYBE, Attempt
from delivery.protocol import schedule
from delivery.providers.base import Target
from delivery.worker import breaker
from delivery.worker.breaker import FEWEST, PAUSE, PAUSE_MOST, PROBE_MOST, PROBES, WINDOW, Breakers

SILENT = Attempt("apns", "api.example", 0, TransportFault.TIMEOUT, MAYBE, 1.0, 4_000)
SENT = Attempt("apns", "api.example", 200, "", ANSWERED, 1.0, 5)


def target(credential: int = 1, origin: str = "https://api.example") -> Target:
    return Target(1, "apns", "com.example.app", "", origin, credential, "apns_key", {})


class Scene:
    """Breakers, their clock, and pushes by number."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.breakers = Breakers(lambda: self.now)
        self.number = 0

    def push(self, attempt: Attempt, of: Target | None = None) -> bool:
        """Push, with this result; whether it was sent."""
        self.number += 1
        of = of or target()
        if self.breakers.wait(of, self.number):
            return False
        self.breakers.on_attempt(of, self.number, attempt)
        return True

    def open(self) -> bool:
        return bool(list(self.breakers.open()))

    def fail(self, of: Target | None = None) -> None:
        for _ in range(FEWEST):
            self.push(SILENT, of)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_nothing_is_kept_of_a_credential_without_failures(scene: Scene) -> None:
    for _ in range(1_000):
        scene.push(SENT)
    assert scene.breakers.troubled == {}


def test_it_opens_when_enough_attempts_have_failed_and_then_sends_none(scene: Scene) -> None:
    for _ in range(FEWEST - 1):
        scene.push(SILENT)
    assert not scene.open()
    scene.push(SILENT)
    assert [(one.credential_id, one.host, one.reason) for one in scene.breakers.open()] == [
        (1, "api.example", "timeout")
    ]
    assert scene.breakers.wait(target(), "next") == PAUSE
    assert scene.breakers.trouble(target()) == ("api.example", "timeout")


def test_other_credentials_and_other_origins_are_not_touched(scene: Scene) -> None:
    scene.fail()
    assert not scene.push(SENT)
    assert scene.push(SENT, target(2))
    assert scene.push(SENT, target(1, "https://sandbox.example"))


def test_a_few_failures_among_many_answers_open_nothing(scene: Scene) -> None:
    for number in range(1_000):
        scene.push(SILENT if number % 3 == 0 else SENT)
    assert not scene.open()


def test_a_push_that_fails_again_and_again_counts_once(scene: Scene) -> None:
    for push in range(FEWEST - 1):
        for attempt in range(4):
            scene.breakers.on_attempt(target(), push, SILENT, again=attempt > 0)
    assert not scene.open()
    scene.push(SILENT)
    assert scene.open()


def test_failures_of_long_ago_do_not_count(scene: Scene) -> None:
    for _ in range(5 * FEWEST):
        scene.push(SILENT)
        scene.now += 2 * WINDOW / FEWEST
    assert not scene.open()
    scene.now += 2 * WINDOW
    scene.push(SENT)
    assert scene.breakers.troubled == {}


@pytest.mark.parametrize("status", [400, 403, 410, 413, 429])
def test_what_a_provider_says_of_pushes_devices_keys_and_rates_opens_nothing(scene: Scene, status: int) -> None:
    for _ in range(10 * FEWEST):
        scene.push(Attempt("apns", "api.example", status, "Reason", ANSWERED, 1.0, 5))
    assert not scene.open()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_errors_of_its_server_open_it(scene: Scene, status: int) -> None:
    for _ in range(FEWEST):
        scene.push(Attempt("apns", "api.example", status, "", ANSWERED, 1.0, 5))
    assert scene.breakers.trouble(target()) == ("api.example", str(status))
    assert scene.open()


@pytest.mark.parametrize("fault", [TransportFault.CREDENTIAL, TransportFault.STOPPED, TransportFault.GOAWAY])
def test_a_key_that_is_no_good_and_an_orderly_end_open_nothing(scene: Scene, fault: TransportFault) -> None:
    for _ in range(2 * FEWEST):
        scene.push(Attempt("apns", "api.example", 0, fault, 0, 1.0, 5))
    assert not scene.open()


def test_half_open_it_lets_a_few_through_and_closes_when_they_are_answered(scene: Scene) -> None:
    scene.fail()
    scene.now += PAUSE
    probes = [f"probe {number}" for number in range(PROBES)]
    assert [scene.breakers.wait(target(), probe) for probe in (*probes, "another")] == [0.0] * PROBES + [PAUSE]
    for probe in probes[:-1]:
        scene.breakers.on_attempt(target(), probe, SENT)
    assert scene.open()
    scene.breakers.on_attempt(target(), probes[-1], SENT)
    assert scene.breakers.troubled == {}
    assert scene.push(SENT)


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_some_seconds(scene: Scene) -> None:
    scene.fail()
    pauses = []
    for _ in range(6):
        pauses.append(scene.breakers.wait(target(), "asks"))
        scene.now += pauses[-1]
        assert scene.push(SILENT)
    assert pauses == [PAUSE, 2 * PAUSE, *[PAUSE_MOST] * 4]
    assert schedule.CALL.lifetime / 2 > 2 * PAUSE_MOST, "a call outlives it by far"


def test_what_was_sent_before_it_opened_says_nothing_of_now(scene: Scene) -> None:
    scene.breakers.wait(target(), "before")
    scene.fail()
    scene.now += PAUSE
    assert scene.breakers.wait(target(), "probe") == 0.0
    scene.breakers.on_attempt(target(), "before", SILENT)
    scene.breakers.on_attempt(target(), "before", SENT)
    assert scene.breakers.wait(target(), "another probe") == 0.0
    for probe in ("probe", "another probe"):
        scene.breakers.on_attempt(target(), probe, SENT)
    assert scene.push(SENT)
    assert not scene.open()


def test_a_probe_that_was_not_sent_or_never_ends_makes_room_for_others(scene: Scene) -> None:
    scene.fail()
    scene.now += PAUSE
    for number in range(PROBES):
        scene.breakers.wait(target(), number)
    scene.breakers.on_let_go(target(), 0)
    assert scene.breakers.wait(target(), "in its place") == 0.0
    assert scene.breakers.wait(target(), "one more") == PAUSE
    scene.now += PROBE_MOST
    assert scene.breakers.wait(target(), "one more") == 0.0


def test_it_keeps_no_more_credentials_than_its_bound(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "KEPT_MOST", 10)
    for credential in range(30):
        scene.push(SILENT, target(credential))
    assert len(scene.breakers.troubled) == 10
    scene.now += 2 * WINDOW
    scene.push(SILENT, target(99))
    assert len(scene.breakers.troubled) == 1


@pytest.mark.parametrize("seed", range(10))
def test_whatever_happens_few_wait_for_a_silent_provider_and_it_closes_when_that_answers(seed: int) -> None:
    chance, scene = random.Random(seed), Scene()  # noqa: S311
    under_way: list[tuple[int, float]] = []
    sent = 0
    for number in range(3_000):
        silent = number < 2_000
        scene.now += chance.random() * 0.05
        if not scene.breakers.wait(target(), number):
            sent += silent
            under_way.append((number, scene.now + (4.0 if silent else chance.random() * 0.2)))
        for one in [one for one in under_way if one[1] <= scene.now]:
            under_way.remove(one)
            scene.breakers.on_attempt(target(), one[0], SILENT if one[0] < 2_000 else SENT)
    # Four seconds of pushes until the first are known to have failed, and few after that, in 50 seconds.
    assert sent < 4.5 / 0.025 + 10 * PROBES
    scene.now += PAUSE_MOST + 4.0
    for number, _ in under_way:
        scene.breakers.on_attempt(target(), number, SENT)
    for _ in range(PROBES):
        scene.push(SENT)
    assert scene.breakers.troubled == {}
