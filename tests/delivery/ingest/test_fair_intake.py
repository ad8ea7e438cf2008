"""The intake of a web process when several customers push at once: who waits, and for whom."""

import asyncio
import time
from typing import Any

import msgspec
import pytest

from delivery.ingest import fair_intake
from delivery.ingest.fair_intake import PATIENCE, TURN, FairIntake
from delivery.ingest.pending import PendingPush
from delivery.protocol.wire import Push
from delivery.worker.places import cost
from tests.delivery.web_process import ACME

FLOOD, QUIET = 1, 2


class Intake:
    """The intake of a process, and what it has taken, by name."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.taken: list[str] = []
        self.fair = FairIntake(lambda pending, item: self.taken.append(pending.trace))
        self.refused: list[str] = []

    def send(self, customer: int, name: str, **members: Any) -> None:
        who = msgspec.structs.replace(ACME, customer_id=customer)
        push = Push(device_id="d", platform="apple_rn", **{"type": "message", **members})
        pending = PendingPush(who, push, name, time.time(), 100, self.loop.create_future())
        if self.fair.take_now(customer, self.loop.time()):
            self.taken.append(name)
        elif self.fair.may_wait(who, 1_000, time.time()):
            self.fair.wait(pending, b"x" * 1_000)
        else:
            self.refused.append(name)

    async def turn(self) -> None:
        """Let the loop go round."""
        await asyncio.sleep(0)

    async def all_taken(self) -> None:
        """Let it go round until nothing waits."""
        while self.fair._is_taking:
            await self.turn()


@pytest.fixture
async def intake() -> Intake:
    return Intake()


async def test_one_customer_alone_never_waits(intake: Intake) -> None:
    for number in range(1_000):
        intake.send(FLOOD, f"f{number}")
    intake.send(QUIET, "q0")
    await intake.all_taken()
    intake.send(FLOOD, "the first since")
    await intake.turn()
    intake.fair._shared_until = 0.0  # a second has passed in which no other customer has pushed
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
