"""Each transport error: one request on the wire, the right fault, and NOT_SENT of nothing that a provider took."""

import asyncio
import random

import pytest

from delivery.http2.engine import Engine
from delivery.outcomes.verdict import ANSWERED, MAYBE, NOT_SENT
from tests.delivery.http2.posting import Seen, post
from tests.delivery.http2.rough_server import RoughServer
from tests.sandbox_fixture import SandboxClient

FAULTS = [
    ("refuse", "refused_stream", NOT_SENT),
    ("disown", "goaway", NOT_SENT),
    ("own", "closed", MAYBE),
    ("break", "reset", MAYBE),
    ("close", "closed", MAYBE),
    ("abort", "reset", MAYBE),
    ("silence", "timeout", MAYBE),
    ("early", "timeout", MAYBE),
]


@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize(("behaviour", "fault", "wire"), FAULTS)
async def test_a_fault_is_one_request_on_the_wire_and_the_next_push_goes_well(
    rough: RoughServer, plain: Engine, behaviour: str, fault: str, wire: int, reused: bool
) -> None:
    name = f"{behaviour}_{reused}"
    if reused:
        assert (await post(plain, rough.origin, "/3/device/ok")).status == 200
    seen = await post(plain, rough.origin, f"/3/device/{name}", seconds=0.5 if fault == "timeout" else 3.0)
    assert (seen.status, seen.fault, seen.wire) == (0, fault, wire)
    assert (await post(plain, rough.origin, f"/3/device/ok_after_{name}")).status == 200
    assert rough.complete[name] == 1
    assert rough.complete[f"ok_after_{name}"] == 1


async def test_a_connection_that_drains_answers_its_own_and_holds_up_nobody_else(
    rough: RoughServer, plain: Engine
) -> None:
    assert (await post(plain, rough.origin, "/3/device/ok")).status == 200
    draining = asyncio.create_task(post(plain, rough.origin, "/3/device/drain", seconds=3.0))
    await asyncio.sleep(0.2)
    seen = [await post(plain, rough.origin, f"/3/device/ok_beside_{number}", seconds=0.7) for number in range(3)]
    assert [one.status for one in seen] == [200, 200, 200]
    assert sum(one.new_connections for one in seen) == 1
    assert not draining.done()
    assert (await draining).status == 200


async def test_a_server_that_speaks_no_sense_is_a_protocol_fault_or_silence(rough: RoughServer, plain: Engine) -> None:
    seen = await post(plain, rough.origin, "/3/device/garbage", seconds=0.5)
    assert (seen.status, seen.wire) == (0, MAYBE)
    assert seen.fault in ("protocol", "timeout")
    assert rough.complete["garbage"] == 1


async def test_the_head_of_an_answer_counts_as_the_answer(rough: RoughServer, plain: Engine) -> None:
    seen = await post(plain, rough.origin, "/3/device/half", seconds=0.3)
    assert (seen.status, seen.fault, seen.wire, seen.body) == (410, "", ANSWERED, b"")


async def test_an_answer_that_is_too_long_is_not_read(rough: RoughServer, plain: Engine) -> None:
    seen = await post(plain, rough.origin, "/3/device/flood")
    assert (seen.status, seen.body) == (400, b"")
    assert seen.ms < 1000


async def test_a_redirect_is_not_followed(rough: RoughServer, plain: Engine) -> None:
    seen = await post(plain, rough.origin, "/3/device/redirect")
    assert (seen.status, rough.complete["ok_elsewhere"]) == (307, 0)


async def test_a_connection_that_was_closed_while_idle_is_not_used_again(rough: RoughServer, plain: Engine) -> None:
    assert (await post(plain, rough.origin, "/3/device/leave")).status == 200
    await asyncio.sleep(0.3)
    seen = await post(plain, rough.origin, "/3/device/ok_after_leave")
    assert (seen.status, seen.new_connections, rough.complete["ok_after_leave"]) == (200, 1, 1)


async def test_no_push_that_the_provider_took_is_said_not_to_have_been_sent(
    rough: RoughServer, plain: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty at a time on connections that end in every way; each line of the invariant at once."""
    monkeypatch.setattr("delivery.http2.backoff.LONGEST_PAUSE", 0.01)
    chance = random.Random(20261123)  # noqa: S311
    words = ["later"] * 30 + ["refuse", "disown", "own", "break", "close", "abort"]
    names = [f"{chance.choice(words)}_{number}" for number in range(1200)]
    at_once = asyncio.Semaphore(20)
    seen: dict[str, Seen] = {}

    async def one(name: str) -> None:
        async with at_once:
            seen[name] = await post(plain, rough.origin, f"/3/device/{name}", seconds=1.0)

    await asyncio.gather(*map(one, names))
    not_sent = {name for name in names if seen[name].wire == NOT_SENT}
    sent = {name for name in names if seen[name].status == 200}
    assert len(not_sent) > 50
    assert len(sent) > 50
    assert {name for name in not_sent if rough.taken[name]} == set()
    assert {name for name in sent if not rough.taken[name]} == set()
    assert {name for name in names if rough.complete[name] > 1} == set()


@pytest.mark.parametrize(
    ("answer", "fault", "wire"),
    [
        ({"reset": 7}, "refused_stream", NOT_SENT),
        ({"goaway": 0}, "goaway", NOT_SENT),
        ({"reset": 2}, "reset", MAYBE),
        ({"reset": 8}, "reset", MAYBE),
        ({"close": True}, "closed", MAYBE),
        ({"hang": True}, "timeout", MAYBE),
    ],
)
async def test_the_sandboxs_counter_is_our_count_of_attempts(
    sandbox: SandboxClient, engine: Engine, answer: dict[str, object], fault: str, wire: int
) -> None:
    sandbox.script("feed", answer)
    # On a connection that is open: what hangs shall not be what dials.
    assert (await post(engine, sandbox.origin, "/3/device/" + "beef" * 16, seconds=30.0)).wire
    for _ in range(3):
        seen = await post(engine, sandbox.origin, "/3/device/" + "feed" * 16, seconds=0.4 if "hang" in answer else 3.0)
        assert (seen.status, seen.fault, seen.wire) == (0, fault, wire)
    assert len(sandbox.requests("feed")) == 3


@pytest.mark.parametrize("status", [200, 400])
async def test_a_body_that_is_cut_off_leaves_the_status(sandbox: SandboxClient, engine: Engine, status: int) -> None:
    sandbox.script("feed", {"status": status, "json": {"reason": "BadTopic"}, "cut": True})
    seen = await post(engine, sandbox.origin, "/3/device/" + "feed" * 16)
    assert (seen.status, seen.wire) == (status, ANSWERED)
    assert seen.body != b'{"reason":"BadTopic"}'
    assert len(sandbox.requests("feed")) == 1
