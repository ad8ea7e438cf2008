"""Addresses of devices that there are not."""

import pytest

from tests.browsing import Browser

pytestmark = pytest.mark.django_db
ADDRESS = "/c/acme/delivery/devices/"


@pytest.mark.parametrize(
    "device", ["0" * 31, "0" * 33, "g" * 32, "A" * 32, "-", "0" * 5000, "%00", "..", "0" * 32 + "%0a", "٠" * 32]
)
def test_what_is_no_fingerprint_is_not_there(ada: Browser, device: str) -> None:
    assert ada.get(f"{ADDRESS}{device}/").status_code == 404


def test_a_place_in_the_list_makes_no_device_of_one_that_nobody_knows(ada: Browser) -> None:
    assert ada.get(f"{ADDRESS}{'0' * 32}/?before=2026-01-01T00:00:00%2B00:00~x").status_code == 404
