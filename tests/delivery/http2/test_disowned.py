"""A provider that disowns one request, or sends GOAWAY, holds up none of those that follow it."""

import asyncio

import pytest

from delivery.http2.engine import Engine
from tests.delivery.http2.posting import post
from tests.sandbox_fixture import SandboxClient

SILENT, DISOWNED, PLAIN = (f"/3/device/{pair * 32}" for pair in ("aa", "bb", "cc"))


@pytest.mark.parametrize("fault", [{"reset": 7}, {"goaway": 0}, {"goaway": 11}], ids=str)
async def test_the_next_requests_do_not_wait_for_a_silent_one_on_the_old_connection(
    engine: Engine, sandbox: SandboxClient, fault: dict[str, int]
) -> None:
    sandbox.settings(lenient_tokens=True)
    sandbox.scripts({"aa" * 32: [{"hang": True}], "bb" * 32: [fault], "cc" * 32: [{"status": 200}]})
    silent = asyncio.ensure_future(post(engine, sandbox.origin, SILENT, seconds=2.5))
    await asyncio.sleep(0.1)
    assert (await post(engine, sandbox.origin, DISOWNED)).status == 0
    assert (await post(engine, sandbox.origin, PLAIN)).status == 200
    assert not silent.done()
    assert (await silent).fault == "timeout"
