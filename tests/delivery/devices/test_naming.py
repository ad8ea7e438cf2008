"""What people have of a device, and the fingerprint it is known by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.devices.naming import LONGEST, NoDeviceError, fingerprint_of
from delivery.log.rows import fingerprint

KEY = b"k" * 32
TOKEN = "5a" * 32


@pytest.mark.parametrize(
    "typed", [TOKEN, f"apple_rn-v2:{TOKEN}", f"apple_rnbeta:{TOKEN}", f" {TOKEN[:20]}\n{TOKEN[20:]} "]
)
def test_a_device_id_is_known_with_its_platform_or_without(typed: str) -> None:
    assert fingerprint_of(typed, KEY) == fingerprint(TOKEN, KEY)


def test_a_colon_within_a_token_is_part_of_it() -> None:
    token = "cXyz-1_a:APA91b" + "x" * 100
    expected = fingerprint(token, KEY)
    assert fingerprint_of(token, KEY) == fingerprint_of(f"android_rn-v2:{token}", KEY) == expected


def test_a_fingerprint_is_taken_as_it_is() -> None:
    assert fingerprint_of("ab" * 16, KEY) == "ab" * 16


@pytest.mark.parametrize(
    ("typed", "message"),
    [("", "Enter"), (" \n", "Enter"), ("x" * (LONGEST + 1), "no more than"), ("apple:", "without a")],
)
def test_what_is_none_is_told(typed: str, message: str) -> None:
    with pytest.raises(NoDeviceError, match=message):
        fingerprint_of(typed, KEY)


@given(st.text(max_size=300))
def test_whatever_is_typed_ends_as_a_fingerprint_or_a_sentence(typed: str) -> None:
    try:
        found = fingerprint_of(typed, KEY)
    except NoDeviceError:
        return
    assert len(found) == 32
    assert set(found) <= set("0123456789abcdef")
