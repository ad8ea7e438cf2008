"""How many pushes a device was sent since it last acknowledged one, by server and app."""

from datetime import timedelta

import pytest

from delivery.devices.reading import unacknowledged
from delivery.models import Device
from tests.delivery.rollups.pushes import HOUR, SENT, write

pytestmark = pytest.mark.django_db
DEVICE = "d" * 32


def way(server: int, app: int = 4, acked: float | None = None) -> Device:
    at = None if acked is None else HOUR + timedelta(seconds=acked)
    return Device(device=DEVICE, server_id=server, app_id=app, acked_at=at)


@pytest.mark.parametrize(("most", "counts"), [(100, [5, 2, 1, 0, 3]), (2, [2, 2, 1, 0, 2])])
def test_each_way_is_counted_since_its_own_last_receipt_and_up_to_a_bound(most: int, counts: list[int]) -> None:
    for number in range(5):
        write(f"a{number}", number, SENT, server=2, device=DEVICE)
        write(f"b{number}", number, SENT, server=3, device=DEVICE)
        write(f"other{number}", number, SENT, server=2, device="e" * 32)
    write("none", 1, SENT, server=2, app=None, device=DEVICE)
    ways = [way(2), way(3, acked=2), way(2, app=0), way(9), way(3, acked=1)]
    assert unacknowledged(ways, most) == counts
