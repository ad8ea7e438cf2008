"""What the checks say of settings that the path of a push needs, beside those of tests/hpns/checks/."""

import pytest
from pytest_django import Settings

from delivery import checks


@pytest.mark.parametrize(
    ("entries", "wrong"),
    [
        ("", []),
        ("push.apple.com, .example.com:443, *.internal, 10.0.0.1, ::1, *,", []),
        ("http://push.apple.com", [1]),
        ("push.apple.com,https://u:s3cr3t@proxy:3128", [2]),
        ("push.apple.com/, push.apple.com:port", [1, 2]),
    ],
)
def test_an_entry_of_no_proxy_that_has_no_effect_is_named_by_its_place(
    settings: Settings, entries: str, wrong: list[int]
) -> None:
    settings.NO_PROXY = entries
    found = [each for each in checks.settings_are_usable(None) if each.id == "delivery.W002"]
    assert [each.msg for each in found] == [
        f"Entry {number} of NO_PROXY is no host and has no effect." for number in wrong
    ]
    assert "s3cr3t" not in str(found)
