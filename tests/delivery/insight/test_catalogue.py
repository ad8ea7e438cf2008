"""The catalogue of codes: whole, and in words that stand without a push."""

import re

import pytest

from delivery.insight import catalogue
from delivery.outcomes import own, removal
from delivery.providers import table


def test_every_code_of_ours_and_of_the_providers_is_in_it() -> None:
    assert set(catalogue.ENTRIES) == table.CODES | set(own.REFUSALS) | {removal.KNOWN_DEAD.code}
    assert {code: row.code for code, row in catalogue.ENTRIES.items()} == {code: code for code in catalogue.ENTRIES}


@pytest.mark.parametrize("row", catalogue.ENTRIES.values(), ids=list(catalogue.ENTRIES))
def test_an_entry_speaks_of_pushes_in_general(row: catalogue.Entry) -> None:
    for sentence in (row.title, row.advice):
        assert not re.search(r"[{}!]|\(unreadable\)|no more is known|of this app|  |\.\.", sentence), sentence
        assert sentence[0].isupper()
    assert row.advice.endswith(".")


def test_an_entry_names_the_provider_its_words_and_whose_it_is() -> None:
    row = catalogue.ENTRIES["apns_unregistered"]
    assert (row.provider, row.replies, row.answer, row.whose) == ("apns", ("410 Unregistered",), "REMOVE", "the phone")
    assert catalogue.ENTRIES["fcm_internal"].whose == "Google"
    assert catalogue.ENTRIES["transport_dns"].whose == "this push service"
    assert catalogue.ENTRIES["apns_invalid_provider_token_iat"].replies == ("403 InvalidProviderToken",)
    assert (catalogue.ENTRIES["sent"].provider, catalogue.ENTRIES["sent"].replies) == ("", ())


def test_a_code_of_an_older_version_is_none() -> None:
    assert catalogue.entry("of_an_older_version") is None
