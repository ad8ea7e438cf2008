"""What a device's latest pushes in the log say: how many it was sent since a receipt, its sessions' ends, its pages."""

from datetime import datetime, timedelta

import pytest

from delivery.devices import absorbing, history, reading
from delivery.devices.history import Count
from delivery.devices.latest import with_latest
from delivery.models import Device
from tenants.keyset import Cursor
from tests.delivery.devices.writing import push
from tests.delivery.rollups.pushes import HOUR, SENT, write

pytestmark = pytest.mark.django_db
DEVICE = "d" * 32


def at(second: float) -> datetime:
    return HOUR + timedelta(seconds=second)


def way(server: int, app: int = 4, acked: float | None = None, **times: float) -> Device:
    moments = {f"{name}_at": at(second) for name, second in times.items()}
    acked_at = None if acked is None else at(acked)
    return Device(device=DEVICE, server_id=server, app_id=app, acked_at=acked_at, **{"first_at": HOUR, **moments})


def write_some() -> None:
    for number in range(5):
        write(f"a{number}", number, SENT, server=2, device=DEVICE)
        write(f"b{number}", number, SENT, server=3, device=DEVICE)
        write(f"other{number}", number, SENT, server=2, device="e" * 32)
    write("none", 1, SENT, server=2, app=None, device=DEVICE)


WAYS = (way(2), way(3, acked=2), way(2, app=0), way(9), way(3, acked=1))


def test_each_way_is_counted_since_its_own_last_receipt() -> None:
    write_some()
    counts = [history.read(DEVICE, WAYS).unacknowledged(each) for each in WAYS]
    assert counts == [Count(number, more=False) for number in (5, 2, 1, 0, 3)]


def test_what_is_counted_among_the_latest_alone_is_said_to_be_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "ROWS", 4)  # the seconds 4 and 3 by two servers
    write_some()
    counts = [history.read(DEVICE, WAYS).unacknowledged(each) for each in (*WAYS, way(3, acked=3))]
    more, all_of_them = [Count(n, more=True) for n in (2, 2, 0, 0, 2)], Count(1, more=False)
    assert counts == [*more, all_of_them]


def test_the_end_of_its_session_and_what_was_sent_after_it_are_found_behind_many_pushes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "ROWS", 3)
    write("bye", 1, SENT, device=DEVICE, type="session")
    for number in range(5):
        write(f"a{number}", 2 + number, SENT, device=DEVICE)
    ways = [way(2, session=1, sent=6)]
    found = history.read(DEVICE, ways)
    assert [row.trace for row in found.sessions(ways)] == ["bye"]
    counts = [found.handed_off_since(at(second), ways) for second in (1, 3, 4, 5)]
    assert counts == [Count(3, more=True), Count(3, more=True), Count(2, more=False), Count(1, more=False)]


def test_one_that_was_handed_off_after_the_sessions_end_is_told_of_behind_many_that_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "ROWS", 0)
    write("a", 3, SENT, device=DEVICE)
    found = history.read(DEVICE, [])
    assert found.handed_off_since(at(1), [way(2, session=1, sent=2)]) == Count(1, more=True)
    assert found.handed_off_since(at(1), [way(2, session=1, sent=1)]) == Count(0, more=True)


def test_the_end_of_a_session_that_the_tables_do_not_know_yet_is_told_of() -> None:
    write("bye", 1, SENT, device=DEVICE, type="session")
    found = history.read(DEVICE, [])
    (row,) = with_latest([], found.rows, {})
    assert row.session_at == at(1)
    assert [each.trace for each in found.sessions([row])] == ["bye"]


def test_its_pages_follow_each_other_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "ROWS", 2)
    for number in range(7):
        write(f"a{number}", number // 2 - 86_400 * 3 * (number < 4), SENT, device=DEVICE)
    page = history.read(DEVICE, []).page()
    seen = [[row.trace for row in page.rows]]
    while page.next_cursor is not None:
        page = history.page(DEVICE, [], Cursor(page.next_cursor.at, page.next_cursor.key))
        seen.append([row.trace for row in page.rows])
    assert seen == [["a6", "a5"], ["a4", "a3"], ["a2", "a1"], ["a0"]]


def test_the_end_of_a_session_is_taken_out_of_the_log() -> None:
    push("bye", 1, device=DEVICE, type="session")
    push("a", 2, device=DEVICE)
    absorbing.absorb()
    (row,) = reading.of_device(DEVICE)
    assert (row.session_at, row.sent_at) == (at(1), at(2))
