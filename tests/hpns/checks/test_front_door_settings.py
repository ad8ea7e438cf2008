"""Settings with which the front door would serve nobody, or lead people nowhere, are named by the system checks."""

from typing import Any

import pytest
from pytest_django import Settings

from hpns.checks import settings as checks


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PUBLIC_URL", "push.example.com", "hpns.E010"),
        ("PUBLIC_URL", "push.example.com:8066", "hpns.E010"),
        ("PUBLIC_URL", "https:push.example.com", "hpns.E010"),
        ("PUBLIC_URL", "https://push.example.com:port", "hpns.E010"),
        ("PORT", 0, "hpns.E011"),
        ("PORT", 99_999, "hpns.E011"),
        ("INGEST_WORKERS", 0, "hpns.E012"),
        ("SECURE_HSTS_SECONDS", -1, "hpns.E013"),
    ],
)
def test_each_of_them_is_an_error_that_names_it(settings: Settings, name: str, value: Any, expected: str) -> None:
    settings.ALLOWED_HOSTS = ["push.example.com"]
    settings.PUBLIC_URL = "https://push.example.com"
    assert list(checks._web()) == []
    setattr(settings, name, value)
    (message,) = checks._web()
    assert (message.id, message.is_serious(), bool(message.hint)) == (expected, True, True)
    assert message.msg.startswith(name.removeprefix("SECURE_"))
