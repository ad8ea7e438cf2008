"""The intake of a web process when several customers push at once: who waits, and for whom."""

import asyncio
import math
import time
from typing import Any

import msgspec
import pytest

from delivery.ingest import fair_intake
from delivery.ingest.congestion import LEAST
from delivery.ingest.fair_intake import PATIENCE, TURN, FairIntake
from delivery.ingest.limits import Allowance
from delivery.ingest.pending import PendingPush
from delivery.ingest.token_bucket import Bucket
from delivery.protocol.wire import Push
from delivery.worker.places import cost
from tenants.directory.snapshot import Limit
from tests.delivery.web_process import ACME

FLOOD, QUIET = 1, 2


class Intake:
    """The intake of a process, and what it has taken, by name."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.taken: list[str] = []
        self.fair = FairIntake(lambda pending, item: self.taken.append(pending.trace))
        self.fair.congestion._until = math.inf  # how long turns of this very loop take is not looked at
        self.refused: list[str] = []
        self.allowances: dict[int, Allowance] = {}

    def send(self, customer: int, name: str, **members: Any) -> None:
        who = msgspec.structs.replace(ACME, customer_id=customer)
        push = Push(device_id="d", platform="apple_rn", **{"type": "message", **members})
        pending = PendingPush(who, push, name, time.time(), 100, self.loop.create_future())
        pending.allowance = allowance = self._allowance(customer)
        at_once = self.fair.goes_on(customer, allowance.customer.in_flight, self.loop.time())
        if not at_once and not self.fair.may_wait(who, 1_000, time.time()):
            self.refused.append(name)
            return
        allowance.acquire()
        if at_once:
            self.taken.append(name)
        else:
            self.fair.wait(pending, b"x" * 1_000)

    def _allowance(self, customer: int) -> Allowance:
        if customer not in self.allowances:
            # Without limits nothing is asked of Valkey.
            bucket = Bucket("none", Limit(), None, "")  # type: ignore[arg-type]
            self.allowances[customer] = Allowance(ACME, Bucket("none", Limit(), None, ""), bucket)  # type: ignore[arg-type]
        return self.allowances[customer]

    def answer(self, customer: int) -> None:
        """Answer a push of a customer's that was taken."""
        self.allowances[customer].release()
        self.fair.on_released(customer, self.allowances[customer].customer.in_flight)

    async def congest(self) -> None:
        """Let a flood have been there for some intervals in which turns of the loop took too long."""
        self.send(QUIET, "before")
        for number in range(4 * LEAST):
            self.send(FLOOD, f"e{number}")
        await self.all_taken()
        self.fair.congestion.limit, self.fair.congestion._heavy = LEAST, frozenset({FLOOD})
        for _ in range(4 * LEAST):
            self.answer(FLOOD)
        self.taken.clear()

    async def turn(self) -> None:
        """Let the loop go round."""
        await asyncio.sleep(0)

    async def all_taken(self) -> None:
        """Let it go round until nothing waits."""
        while self.fair._is_taking:
            await self.turn()


@pytest.fixture
async def intake(monkeypatch: pytest.MonkeyPatch) -> Intake:
    monkeypatch.setattr(fair_intake, "LET_THROUGH", 3_600.0)
    return Intake()


async def test_one_customer_alone_never_waits(intake: Intake) -> None:
    for number in range(1_000):
        intake.send(FLOOD, f"f{number}")
    intake.send(QUIET, "q0")
    await intake.all_taken()
    intake.send(FLOOD, "the first since")
    await intake.turn()
    intake.fair._shared_until = 0.0  # some seconds have passed in which no other customer has pushed
    for number in range(1_000):
        intake.send(FLOOD, f"g{number}")
    assert len(intake.taken) == 2_002


async def test_few_pushes_of_many_customers_go_on_at_once(intake: Intake) -> None:
    for turn in range(10):
        for customer in range(TURN):
            intake.send(customer, f"{turn}-{customer}")
        await intake.turn()
    assert len(intake.taken) == 10 * TURN


async def test_a_quiet_customers_push_goes_ahead_of_a_flood_that_waits(intake: Intake) -> None:
    intake.send(QUIET, "q0")
    for number in range(512):
        intake.send(FLOOD, f"f{number}")
    intake.send(QUIET, "q1")
    assert intake.taken == ["q0", *(f"f{number}" for number in range(TURN))]
    await intake.turn()
    assert "q1" in intake.taken
    assert len(intake.taken) == 1 + 2 * TURN
    await intake.all_taken()
    assert [name for name in intake.taken if name[0] == "f"] == [f"f{number}" for number in range(512)]


async def test_a_call_goes_ahead_of_its_own_customers_messages(intake: Intake) -> None:
    intake.send(QUIET, "q0")
    for number in range(100):
        intake.send(FLOOD, f"f{number}")
    intake.send(FLOOD, "call", transport="voip", sub_type="calls")
    intake.send(FLOOD, "wipe", type="session")
    await intake.turn()
    assert {"call", "wipe"} <= set(intake.taken[: 2 * TURN])


async def test_a_flood_that_waits_too_long_is_told_so_and_others_are_not(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.send(QUIET, "q0")
    for number in range(100):
        intake.send(FLOOD, f"f{number}")
    ahead = time.time() + PATIENCE + 1
    monkeypatch.setattr(time, "time", lambda: ahead)
    intake.send(FLOOD, "one more")
    intake.send(QUIET, "q1")
    assert intake.refused == ["one more"]


async def test_what_waits_is_bounded_in_bytes_for_who_has_most(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_intake, "MOST", cost(50, 50_000))
    intake.send(QUIET, "q0")
    for number in range(100):
        intake.send(FLOOD, f"f{number}")
    intake.send(QUIET, "q1")
    assert len(intake.refused) == 100 - 50 - TURN
    assert all(name[0] == "f" for name in intake.refused)


async def test_no_more_of_a_flood_is_under_way_in_a_congested_process_than_its_bound(intake: Intake) -> None:
    await intake.congest()
    for number in range(512):
        intake.send(FLOOD, f"f{number}")
    await intake.all_taken()
    assert intake.taken == [f"f{number}" for number in range(LEAST)]


async def test_a_quiet_customers_push_goes_on_in_a_congested_process_whatever_a_flood_has_waiting(
    intake: Intake,
) -> None:
    await intake.congest()
    for number in range(512):
        intake.send(FLOOD, f"f{number}")
    await intake.all_taken()
    intake.send(QUIET, "q1")
    assert intake.taken[LEAST:] == ["q1"]


async def test_a_flood_goes_on_when_half_of_what_it_has_under_way_is_answered_and_its_calls_first(
    intake: Intake,
) -> None:
    await intake.congest()
    for number in range(512):
        intake.send(FLOOD, f"f{number}")
    intake.send(FLOOD, "call", transport="voip", sub_type="calls")
    await intake.all_taken()
    for _ in range(LEAST // 2 - 1):
        intake.answer(FLOOD)
    await intake.all_taken()
    assert len(intake.taken) == LEAST
    intake.answer(FLOOD)
    await intake.all_taken()
    assert intake.taken[LEAST:] == ["call", *(f"f{LEAST + number}" for number in range(LEAST // 2 - 1))]


async def test_a_flood_whose_pushes_are_not_answered_goes_on_by_and_by(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fair_intake, "LET_THROUGH", 0.001)
    await intake.congest()
    for number in range(LEAST + 10):
        intake.send(FLOOD, f"f{number}")
    async with asyncio.timeout(60):
        while len(intake.taken) < LEAST + 10:
            await asyncio.sleep(0.001)
    assert intake.taken == [f"f{number}" for number in range(LEAST + 10)]


async def test_all_that_is_held_goes_on_when_its_process_leaves(intake: Intake) -> None:
    await intake.congest()
    for number in range(512):
        intake.send(FLOOD, f"f{number}")
    intake.fair.flush()
    assert intake.taken == [f"f{number}" for number in range(512)]


async def test_nobody_is_held_in_a_congested_process_who_is_alone(intake: Intake) -> None:
    await intake.congest()
    intake.fair._shared_until = 0.0  # some seconds have passed in which no other customer has pushed
    for number in range(512):
        intake.send(FLOOD, f"f{number}")
    await intake.all_taken()
    assert len(intake.taken) == 512


async def test_whoever_was_held_is_held_no_longer_once_it_is_alone(intake: Intake) -> None:
    await intake.congest()
    for number in range(512):
        intake.send(FLOOD, f"f{number}")
    await intake.all_taken()
    intake.fair._shared_until = 0.0
    intake.fair._let_through()
    await intake.all_taken()
    assert len(intake.taken) == 512


async def test_how_long_a_process_wants_the_processor_grows_while_it_runs() -> None:
    before, until = fair_intake._wanted(), time.thread_time() + 0.05
    while time.thread_time() < until:
        pass
    assert fair_intake._wanted() - before >= 0.03
