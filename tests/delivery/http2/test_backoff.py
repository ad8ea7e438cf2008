"""Back-off between dials: a provider that is away is dialled ever more seldom, however many pushes wait for it, and
each of them goes out when it is back or ends in time with the reason."""

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from delivery.http2 import backoff
from delivery.http2.addresses import DialError
from delivery.http2.backoff import Backoff
from delivery.http2.engine import Engine
from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import MAYBE, NOT_SENT
from delivery.sandbox import certificates
from tests.delivery.http2.posting import post
from tests.delivery.http2.rough_server import RoughServer

OK = "/3/device/ok"
AWAY = "https://localhost:9"
REFUSED = DialError(TransportFault.CONNECT, "Connection refused")


class Clock:
    """The time as the back-off reads it; it stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that tests set."""
    made = Clock()
    monkeypatch.setattr("delivery.http2.backoff.time", made)
    return made


class Refusing:
    """Refuses every TCP connection, and counts."""

    def __init__(self) -> None:
        self.dials = 0
        self.fault = TransportFault.CONNECT

    async def connect(self, *args: Any) -> socket.socket:
        self.dials += 1
        await asyncio.sleep(0)
        raise DialError(self.fault, "Connection refused")


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Refusing:
    """No connection is to be had."""
    made = Refusing()
    monkeypatch.setattr("delivery.http2.dial.connect", made.connect)
    return made


def dial(one: Backoff) -> None:
    """A dial that fails at once."""
    one.begin(backoff.time.monotonic())
    one.failed(REFUSED)


def test_the_first_failure_is_repeated_at_once_and_then_the_pauses_grow_up_to_the_longest(clock: Clock) -> None:
    one = Backoff()
    assert one.delay(clock.now) == 0
    pauses = []
    for _ in range(9):
        dial(one)
        pauses.append(one.delay(clock.now))
        clock.now += pauses[-1]
    usual = [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 2.5, 2.5, 2.5]
    assert all(0.8 * expected <= pause <= 1.2 * expected for pause, expected in zip(pauses, usual, strict=True)), pauses
    assert len(set(pauses[-3:])) == 3, "no two are alike"
    assert max(usual) * 1.2 < 4, "a push that waits for 4 s meets a dial"


def test_a_success_ends_the_pauses(clock: Clock) -> None:
    one = Backoff()
    for _ in range(5):
        dial(one)
    assert (one.error(clock.now), one.delay(clock.now) > 0) == (REFUSED, True)
    one.succeeded()
    assert (one.error(clock.now), one.delay(clock.now), one.failures) == (None, 0, 0)


def test_failures_of_long_ago_are_forgotten(clock: Clock) -> None:
    one = Backoff()
    for _ in range(8):
        dial(one)
    clock.now += 64
    dial(one)
    assert (one.failures, one.delay(clock.now)) == (1, 0)


def test_a_dial_that_hangs_counts_while_it_hangs(clock: Clock) -> None:
    one = Backoff()
    dial(one)
    one.begin(clock.now)
    assert one.delay(clock.now) > 0, "another one has to wait, though this one has not failed"


def test_many_that_fail_together_are_one_failure(clock: Clock) -> None:
    one = Backoff()
    for _ in range(300):
        one.begin(clock.now)
    for _ in range(300):
        one.failed(REFUSED)
    assert (one.failures, one.delay(clock.now)) == (1, 0)


def test_calm_lasts_longer_each_time_it_is_asked_for_again(clock: Clock) -> None:
    one = Backoff()
    pauses = []
    for _ in range(7):
        pauses.append(one.calm(REFUSED))
        assert one.calm(REFUSED) == 0, "it is calm already"
        assert (one.delay(clock.now), one.error(clock.now)) == (pytest.approx(pauses[-1]), REFUSED)
        clock.now += pauses[-1]
        assert (one.delay(clock.now), one.error(clock.now)) == (0, None)
    usual = [0.5, 1, 2, 4, 8, 8, 8]
    assert all(0.8 * expected <= pause <= 1.2 * expected for pause, expected in zip(pauses, usual, strict=True)), pauses
    clock.now += 61
    assert one.calm(REFUSED) <= 0.6, "after a quiet minute it begins anew"


async def test_three_hundred_pushes_to_a_port_that_refuses_make_a_few_dials_in_a_second(
    plain: Engine, refusing: Refusing
) -> None:
    seen = await asyncio.gather(*(post(plain, AWAY, OK, seconds=1.0) for _ in range(300)))
    assert {(one.status, one.fault, one.error, one.wire) for one in seen} == {
        (0, "connect", "Connection refused", NOT_SENT)
    }
    assert min(one.ms for one in seen) >= 900, "each had its time"
    assert 2 <= refusing.dials <= 7


async def test_so_do_three_hundred_that_come_one_after_the_other(plain: Engine, refusing: Refusing) -> None:
    for _ in range(3):
        await asyncio.gather(*(post(plain, AWAY, OK, seconds=0.1) for _ in range(100)))
    assert refusing.dials <= 6


async def test_all_credentials_of_an_origin_share_its_pauses(plain: Engine, refusing: Refusing) -> None:
    await asyncio.gather(*(post(plain, AWAY, OK, seconds=0.7, credential=number) for number in range(100)))
    assert refusing.dials <= 100 + 6, "one each, before the first had failed"
    assert plain.channel("https://localhost:10", 1) is not None
    before = refusing.dials
    await post(plain, "https://localhost:10", OK, seconds=0.1)
    assert refusing.dials > before, "another origin waits for none of them"


async def test_a_push_goes_out_when_its_provider_is_back(tmp_path: Path) -> None:
    with socket.socket() as away:
        away.bind(("127.0.0.1", 0))
        port = away.getsockname()[1]
        engine = Engine(asyncio.get_running_loop(), str(certificates.ensure(tmp_path)))
        waiting = [asyncio.create_task(post(engine, f"https://localhost:{port}", OK, seconds=20)) for _ in range(20)]
        await asyncio.sleep(0.3)
        assert not any(one.done() for one in waiting)
    server = RoughServer(tmp_path, port)
    seen = await asyncio.gather(*waiting)
    await engine.close()
    server.stop()
    assert ({one.status for one in seen}, server.connections, server.complete["ok"]) == ({200}, 1, 20)


async def test_connections_that_end_before_an_answer_are_failures_too(rough: RoughServer, plain: Engine) -> None:
    before, began = rough.connections, time.monotonic()
    for number in range(6):
        seen = await post(plain, rough.origin, f"/3/device/close_{number}", seconds=5.0)
        assert (seen.fault, seen.wire) == ("closed", MAYBE)
    assert rough.connections == before + 6
    assert time.monotonic() - began >= 0.8 * (0.1 + 0.2 + 0.4 + 0.8)
    pauses = plain.channel(rough.origin, 1)._dialer.channel
    assert pauses.failures
    assert (await post(plain, rough.origin, OK, seconds=5.0)).status == 200
    assert not pauses.failures, "an answer ends the pauses"


async def test_a_credential_that_was_turned_down_fails_at_once_and_pauses_nobody_else(
    rough: RoughServer, plain: Engine, refusing: Refusing, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing.fault = TransportFault.CREDENTIAL
    for _ in range(20):
        seen = await post(plain, rough.origin, OK, seconds=30)
        assert (seen.fault, seen.error, seen.wire) == ("credential", "Connection refused", NOT_SENT)
    assert refusing.dials < 20, "within a pause the same is said without a dial"
    monkeypatch.undo()
    assert (await post(plain, rough.origin, OK, credential=2)).status == 200


async def test_who_is_not_patient_is_told_of_the_first_failure(refusing: Refusing) -> None:
    engine = Engine(asyncio.get_running_loop(), patient=False)
    seen = await post(engine, AWAY, OK, seconds=30)
    await engine.close()
    assert (seen.fault, seen.wire, refusing.dials) == ("connect", NOT_SENT, 1)
