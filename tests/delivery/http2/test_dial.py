"""Which address of a name is taken, and that a connection that nobody wants any more is closed; on both event loops."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from delivery.http2.addresses import connect
from delivery.http2.engine import Engine
from delivery.outcomes.verdict import NOT_SENT
from tests.delivery.http2.posting import post
from tests.delivery.http2.rough_server import RoughServer
from tests.waiting import PATIENCE

OK = "/3/device/ok"
NAME = "fcm.googleapis.com"
"""A name in the sandbox's certificates that the loops below resolve as a test says."""


class _Naming:
    """What a loop does for a dial: NAME has `addresses`, and a connection to `late` comes `lateness` seconds after it
    was given up; tried keeps the sockets, so that none is closed by the garbage collector alone, asked where they
    were to lead."""

    addresses: tuple[str, ...] = ()
    late = ""
    lateness = 0.0
    tried: list[socket.socket]
    asked: list[str]

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        if host != NAME:
            return await super().getaddrinfo(host, port, **options)  # type: ignore[misc]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in self.addresses
        ]

    async def sock_connect(self, sock: socket.socket, address: Any) -> Any:
        self.tried.append(sock)
        self.asked.append(address[0])
        if address[0] == self.late:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                await asyncio.sleep(self.lateness)
        return await super().sock_connect(sock, address)  # type: ignore[misc]


class PlainLoop(_Naming, asyncio.SelectorEventLoop):
    """asyncio's."""


class UvLoop(_Naming, uvloop.Loop):  # type: ignore[misc]
    """uvloop's."""


on_both_loops = pytest.mark.parametrize("loop", [PlainLoop, UvLoop])


def run(
    loop: type,
    main: Coroutine[Any, Any, None],
    addresses: tuple[str, ...] = (),
    late: str = "",
    complaining: bool = False,
) -> None:
    """Run main on such a loop; what the loop complains of is a failure unless it may."""
    complaints: list[dict[str, Any]] = []

    def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), asyncio.CancelledError):  # a test's own server, at the end
            complaints.append(context)

    with asyncio.Runner(loop_factory=loop) as runner:
        used: Any = runner.get_loop()
        used.addresses, used.late, used.tried, used.asked = addresses, late, [], []
        used.set_exception_handler(complain)
        runner.run(main)
    assert complaining or complaints == []


@asynccontextmanager
async def engine_to(ca_file: str, proxy: str = "", *, patient: bool = True) -> AsyncIterator[Engine]:
    """An engine on the running loop."""
    engine = Engine(asyncio.get_running_loop(), ca_file, proxy, patient=patient)
    yield engine
    await engine.close()


def still_open() -> list[bool]:
    """Of each socket of the running loop's dials whether it is open."""
    loop: Any = asyncio.get_running_loop()
    return [sock.fileno() != -1 for sock in loop.tried]


def port_of(origin: str) -> int:
    """The number at an origin's end."""
    return int(origin.rpartition(":")[2])


def open_to(address: str) -> int:
    """How many of our connections lead, or try to lead, to an address."""
    there = "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
    return sum(line.split()[2].startswith(there) for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:])


@contextmanager
def deaf(addresses: Iterable[str], port: int) -> Iterator[None]:
    """Let these IPv4 addresses take no connection and refuse none: their queues are full."""
    with ExitStack() as opened:
        for address in addresses:
            listener = opened.enter_context(socket.socket())
            listener.bind((address, port))
            listener.listen(0)
            for _ in range(3):
                filling = opened.enter_context(socket.socket())
                filling.setblocking(False)
                filling.connect_ex(listener.getsockname())
        yield


@on_both_loops
def test_an_address_that_refuses_is_followed_by_the_next_at_once(
    rough: RoughServer, loop: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.http2.addresses.NEXT_ADDRESS_SECONDS", 30.0)

    async def main() -> None:
        async with engine_to(rough.ca_file) as engine:
            assert (await post(engine, f"https://{NAME}:{port_of(rough.origin)}", OK)).status == 200
            assert still_open() == [False, False, True]

    run(loop, main(), ("127.0.0.2", "127.0.0.3", "127.0.0.1"))


@on_both_loops
def test_an_address_that_is_silent_is_left_for_the_next_and_leaves_nothing_open(rough: RoughServer, loop: type) -> None:
    async def main() -> None:
        async with engine_to(rough.ca_file) as engine:
            assert (await post(engine, f"https://{NAME}:{port_of(rough.origin)}", OK)).status == 200
            await asyncio.sleep(0.05)
            assert open_to("127.0.0.4") == before
            assert still_open() == [False, True]

    with deaf(["127.0.0.4"], port_of(rough.origin)):
        before = open_to("127.0.0.4")
        assert before
        began = time.monotonic()
        run(loop, main(), ("127.0.0.4", "127.0.0.1"))
        assert time.monotonic() - began >= 0.25


@on_both_loops
@pytest.mark.parametrize("silent", [8, 16])
@pytest.mark.parametrize(
    ("prefix", "living"), [("::ffff:", "127.0.0.1"), ("", "::ffff:127.0.0.1")], ids=["IPv6 silent", "IPv4 silent"]
)
def test_silent_addresses_of_one_family_cost_one_wait_before_the_other_family_is_tried(
    rough: RoughServer, loop: type, silent: int, prefix: str, living: str
) -> None:
    """Addresses of the form ::ffff:127.0.1.9 are of IPv6 for everybody but the kernel, on machines without it, too."""

    async def main() -> None:
        async with engine_to(rough.ca_file) as engine:
            assert (await post(engine, f"https://{NAME}:{port_of(rough.origin)}", OK)).status == 200
            used: Any = asyncio.get_running_loop()
            assert used.asked[:2] == [prefix + places[0], living], "one silent address was begun before the living one"
            assert still_open().count(True) == 1
            assert still_open()[1]

    places = [f"127.0.1.{number}" for number in range(1, silent + 1)]
    with deaf(places, port_of(rough.origin)):
        run(loop, main(), (*(prefix + place for place in places), living))


@on_both_loops
def test_a_dial_that_is_given_up_while_its_losers_are_closed_is_given_up(rough: RoughServer, loop: type) -> None:
    """The race waits for its losers; whoever gives the dial up at that moment is heard all the same."""

    async def main() -> None:
        used: Any = asyncio.get_running_loop()
        used.lateness = 0.3
        port = port_of(rough.origin)
        dial = asyncio.create_task(connect(used, NAME, port, "dns"))
        while len(used.tried) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert not dial.done(), "it waits for the loser"
        dial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dial
        assert still_open() == [False, False]

    with socket.create_server(("127.0.0.5", port_of(rough.origin))):
        run(loop, main(), ("127.0.0.5", "127.0.0.1"), late="127.0.0.5")


@on_both_loops
def test_a_connection_that_comes_too_late_is_closed(rough: RoughServer, loop: type) -> None:
    async def main() -> None:
        async with engine_to(rough.ca_file) as engine:
            assert (await post(engine, f"https://{NAME}:{port_of(rough.origin)}", OK)).status == 200
            taken, _ = await asyncio.to_thread(server.accept)
            taken.settimeout(2)
            assert await asyncio.to_thread(taken.recv, 1) == b""
            assert still_open() == [False, True]
            taken.close()

    with socket.create_server(("127.0.0.5", port_of(rough.origin))) as server:
        server.settimeout(2)
        run(loop, main(), ("127.0.0.5", "127.0.0.1"), late="127.0.0.5")


@on_both_loops
def test_a_name_of_which_no_address_answers_is_no_connection(rough: RoughServer, loop: type) -> None:
    async def main() -> None:
        async with engine_to(rough.ca_file, patient=False) as engine:
            seen = await post(engine, f"https://{NAME}:{port_of(rough.origin)}", OK)
            assert (seen.fault, seen.wire) == ("connect", NOT_SENT)
            assert seen.error
            assert still_open() == [False, False]

    run(loop, main(), ("127.0.0.2", "127.0.0.3"))


async def test_an_ipv6_address_is_an_origin_too(rough: RoughServer) -> None:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port_of(rough.origin))
        await asyncio.gather(pass_on(reader, there_writer), pass_on(there_reader, writer))

    try:
        server = await asyncio.start_server(forward, "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with server, engine_to(rough.ca_file) as engine:
        seen = await post(engine, f"https://[::1]:{server.sockets[0].getsockname()[1]}", OK)
        assert (seen.status, seen.fault) == (200, "")


@on_both_loops
def test_a_dial_that_is_given_up_leaves_nothing_open(rough: RoughServer, loop: type) -> None:
    async def main() -> None:
        ended = asyncio.Event()

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1000):
                pass
            ended.set()
            writer.close()

        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        async with server, engine_to(rough.ca_file) as engine:
            seen = await post(engine, f"https://localhost:{server.sockets[0].getsockname()[1]}", OK, seconds=0.3)
            assert (seen.fault, seen.wire) == ("timeout_connect", NOT_SENT)
            await asyncio.wait_for(ended.wait(), PATIENCE)
            assert still_open() == [False]

    run(loop, main())
