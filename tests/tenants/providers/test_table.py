"""The table of providers as customers deal with them."""

import pytest

from delivery.providers import table as sending
from tenants.providers import table


@pytest.mark.parametrize(
    ("label", "family"),
    [
        ("apple", "apns"),
        ("apple_rnbeta", "apns"),
        ("android", "fcm"),
        ("android_rn", "fcm"),
        ("APPLE_RN", ""),
        (" apple", ""),
        ("windows", ""),
        ("", ""),
    ],
)
def test_a_label_names_its_provider_by_its_beginning(label: str, family: str) -> None:
    assert table.family_of(label) == family


def test_the_two_halves_of_the_table_have_the_same_providers() -> None:
    assert list(table.PROVIDERS) == list(sending.PROVIDERS)


def test_no_two_providers_share_a_kind_of_credential_a_platform_or_a_command_s_option() -> None:
    rows = list(table.PROVIDERS.values())
    for each in (
        [kind for row in rows for kind in row.kinds],
        [row.platform for row in rows],
        [label for row in rows for label, _ in row.labels],
        [option.name for row in rows for option in row.options],
    ):
        assert len(each) == len(set(each))
    assert all(label.startswith(row.platform) for row in rows for label, _ in row.labels)
