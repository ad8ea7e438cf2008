"""How many connections there may be, in all and from one address, and who makes room for a new one."""

import pytest

from hpns.web.connections import AddressEntry, ConnectionTable, Waiting, network_of
from tests.hpns.web.doors import OK, push, running, until


class Idle:
    """A connection in the table, as far as it knows one."""

    def __init__(self, table: ConnectionTable, entry: AddressEntry, waiting: Waiting) -> None:
        self.table, self.address = table, entry
        self.waiting: Waiting | None = None
        self.is_open = True
        self.enter(waiting)

    def enter(self, waiting: Waiting | None) -> None:
        if self.waiting is not None:
            self.waiting.remove(self)
        self.waiting = waiting
        if waiting is not None:
            waiting.add(self, 0.0)

    def close_idle(self) -> None:
        self.enter(None)
        self.is_open = False
        self.table.release(self.address)

    def on_timeout(self, waiting: Waiting) -> None:
        self.close_idle()


class Crowd:
    """Connections to a table: those of `proxy` come from a trusted proxy."""

    def __init__(self, total: int, per_address: int) -> None:
        self.table = ConnectionTable(lambda host: host == "10.0.0.1", total=total, per_address=per_address)
        self.idle, self.body = Waiting(100.0, is_idle=True), Waiting(10.0)

    def connect(self, host: str, count: int = 1) -> list[Idle]:
        """So many, or as many as are let in; all idle."""
        entries = [self.table.admit(host) for _ in range(count)]
        return [Idle(self.table, entry, self.idle) for entry in entries if entry is not None]


def open_ones(connections: list[Idle]) -> int:
    return sum(connection.is_open for connection in connections)


def test_the_next_one_of_an_address_takes_the_place_of_its_longest_idle_one() -> None:
    crowd = Crowd(100, 3)
    first, second, third = crowd.connect("192.0.2.1", 3)
    neighbour = crowd.connect("192.0.2.2")[0]
    first.enter(None)
    first.enter(crowd.idle)  # it has had a request meanwhile
    assert len(crowd.connect("192.0.2.1")) == 1
    assert [each.is_open for each in (first, second, third, neighbour)] == [True, False, True, True]
    assert crowd.table.count == 4


def test_none_with_a_request_under_way_is_closed_for_another() -> None:
    crowd = Crowd(4, 2)
    busy = crowd.connect("192.0.2.1", 2) + crowd.connect("192.0.2.2", 2)
    for connection in busy:
        connection.enter(crowd.body)
    assert crowd.connect("192.0.2.1") == []
    assert crowd.connect("192.0.2.3") == []
    assert open_ones(busy) == 4
    assert (crowd.table.count, crowd.table.refused) == (4, 2)


def test_when_the_table_is_full_the_address_with_the_most_idle_ones_makes_room() -> None:
    crowd = Crowd(300, 200)
    many, few, proxy = crowd.connect("192.0.2.1", 150), crowd.connect("192.0.2.2", 10), crowd.connect("10.0.0.1", 140)
    assert len(crowd.connect("192.0.2.3", 5)) == 5
    assert (open_ones(few), open_ones(proxy)) == (10, 140)
    assert [each.is_open for each in many].index(True) == 150 - open_ones(many) > 0  # the longest idle


def test_a_trusted_proxy_has_as_many_as_there_is_room_for_and_gives_way_last() -> None:
    crowd = Crowd(300, 10)
    proxy = crowd.connect("10.0.0.1", 290)
    assert open_ones(proxy) == 290
    few = crowd.connect("192.0.2.1", 10)
    assert len(crowd.connect("192.0.2.2")) == 1
    assert (open_ones(few), open_ones(proxy)) == (0, 290)


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_an_address_is_a_network_of_ipv6(host: str, network: str) -> None:
    assert network_of(host) == network


def test_what_is_forgotten_leaves_nothing_behind() -> None:
    crowd = Crowd(10, 1)
    for number in range(50):
        crowd.connect(f"192.0.2.{number}")
        crowd.connect(f"192.0.2.{number}")
    assert crowd.table.count <= 10
    for connection in list(crowd.idle.since):
        connection.close_idle()
    assert (crowd.table.count, len(crowd.table._entries)) == (0, 0)


async def test_idle_connections_of_one_address_keep_no_other_caller_out() -> None:
    async with running() as door:
        door.server.table.total, door.server.table.per_address = 60, 40
        idle = [await door.connect("127.0.0.2") for _ in range(100)]
        other = await door.connect("127.0.0.3")
        other.send(push())
        assert (await other.answer())[2] == OK
        last = idle[-1]
        last.send(push())
        assert (await last.answer())[2] == OK
        assert await idle[0].is_closed()
        assert door.server.table.count == 41
        for caller in idle:
            caller.writer.close()


async def test_the_log_says_now_and_then_that_there_was_no_room(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as door:
        door.server.table.per_address = 1
        for _ in range(3):
            await door.connect()
        await until(lambda: door.server.table.evicted == 2)
        for seconds in (0, 1, 59):
            door.server._report_crowding(door.server.now() + seconds)
        door.server.table.refused = 5
        door.server._report_crowding(door.server.now() + 61)
    lines = [record.getMessage() for record in caplog.records if "room" in record.getMessage()]
    assert [line.rpartition(": ")[2] for line in lines] == [
        "2 idle ones were closed and 0 new ones refused",
        "0 idle ones were closed and 5 new ones refused",
    ]


async def test_connections_from_a_trusted_proxy_are_not_counted_by_address() -> None:
    async with running(trusted="127.0.0.9/32") as door:
        door.server.table.per_address = 5
        servers = [await door.connect("127.0.0.9") for _ in range(20)]
        for server in servers:
            server.send(push())
            assert (await server.answer())[2] == OK
