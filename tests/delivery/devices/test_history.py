"""What a device's latest pushes in the log say: how many it was sent since a receipt, its sessions' ends, its pages."""

from datetime import timedelta

import pytest

from delivery.devices import history, reading
from delivery.models import Device
from tests.delivery.rollups.pushes import HOUR, SENT, write

pytestmark = pytest.mark.django_db
DEVICE = "d" * 32

whether_or_not_all_are_read_at_once = pytest.mark.parametrize("rows", [1_000, 3])


def way(server: int, app: int = 4, acked: float | None = None) -> Device:
    at = None if acked is None else HOUR + timedelta(seconds=acked)
    return Device(device=DEVICE, server_id=server, app_id=app, acked_at=at)


@whether_or_not_all_are_read_at_once
@pytest.mark.parametrize(("most", "counts"), [(100, [5, 2, 1, 0, 3]), (2, [2, 2, 1, 0, 2])])
def test_each_way_is_counted_since_its_own_last_receipt_and_up_to_a_bound(
    most: int, counts: list[int], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "ROWS", rows)
    for number in range(5):
        write(f"a{number}", number, SENT, server=2, device=DEVICE)
        write(f"b{number}", number, SENT, server=3, device=DEVICE)
        write(f"other{number}", number, SENT, server=2, device="e" * 32)
    write("none", 1, SENT, server=2, app=None, device=DEVICE)
    ways = [way(2), way(3, acked=2), way(2, app=0), way(9), way(3, acked=1)]
    assert history.read(DEVICE).unacknowledged(ways, most) == counts


@whether_or_not_all_are_read_at_once
def test_the_ends_of_its_sessions_and_what_was_sent_after_them_are_found_behind_many_pushes(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "ROWS", rows)
    write("bye", 1, SENT, device=DEVICE, type="session")
    for number in range(5):
        write(f"a{number}", 2 + number, SENT, device=DEVICE)
    found = history.read(DEVICE)
    assert [row.trace for row in found.sessions()] == ["bye"]
    assert [found.handed_off_since(HOUR + timedelta(seconds=second), 100) for second in (0, 1, 4, 5)] == [5, 5, 2, 1]
    assert found.handed_off_since(HOUR, 4) == 4


@whether_or_not_all_are_read_at_once
def test_its_pages_follow_each_other_without_a_gap(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "ROWS", rows)
    monkeypatch.setattr(reading, "SIZE", 2)
    for number in range(7):
        write(f"a{number}", number // 2, SENT, device=DEVICE)
    found, seen, cursor = history.read(DEVICE), [], None
    while True:
        page = found.page(cursor)
        seen.append([row.trace for row in page.rows])
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [["a6", "a5"], ["a4", "a3"], ["a2", "a1"], ["a0"]]
