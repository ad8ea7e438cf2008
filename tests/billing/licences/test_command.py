"""`manage.py licence`: what staff type about licences; JSON, or one line that says why."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.utils import timezone

from billing.licences import proving
from billing.licences.proving import RefusedError
from billing.models import LicenceProof
from tests.billing.licences.making import ID, lasting
from tests.browsing import Tenant
from tests.tenants.management.test_commands import run

pytestmark = pytest.mark.django_db
VOUCH = ("vouch", "--customer", "acme", "--plan", "E20", "--users", "40", "--reason", "The contract of May.")


def a_year(**changes: Any) -> bytes:
    return lasting(timezone.now() - timedelta(days=30), timedelta(days=365), **changes)


def test_check_says_what_a_file_is_worth_and_by_whom_it_is_proven(tmp_path: Path, acme: Tenant) -> None:
    file = tmp_path / "a.mattermost-license"
    file.write_bytes(a_year())
    shown = run("licence", "check", str(file))
    assert (shown["result"], shown["counts"], shown["plan"], shown["users"]) == ("good", True, "professional", 250)
    assert shown["proven_by"] is None
    proving.upload(customer=acme.customer, data=a_year(), now=timezone.now())
    assert run("licence", "check", str(file))["proven_by"] == "acme"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (a_year(features={"mhpns": False}), "switched off"),
        (b"x", "not a licence file"),
        (None, "cannot be read: No such file"),
    ],
)
def test_check_fails_for_what_proves_nothing(tmp_path: Path, acme: Tenant, data: bytes | None, why: str) -> None:
    file = tmp_path / "a.mattermost-license"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(CommandError, match=why):
        run("licence", "check", str(file))


def test_vouching_listing_and_ending(acme: Tenant) -> None:
    until = (timezone.now() + timedelta(days=90)).date()
    row = run("licence", *VOUCH, "--until", until.isoformat(), "--server", "chat.acme.example")
    assert (row["vouched"], row["server"], row["expires_at"][:10]) == (
        True,
        "chat.acme.example",
        str(until + timedelta(days=1)),
    )
    assert [each["id"] for each in run("licence", "list", "--customer", "acme")] == [row["id"]]
    ended = run("licence", "end", "--number", str(row["id"]), "--reason", "Cancelled.")
    assert (ended["state"], ended["changed"]) == ("ended", True)
    assert run("licence", "list") == []
    assert [each["end_reason"] for each in run("licence", "list", "--ended")] == ["Cancelled."]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--until", "2020-01-01"), "the end must be ahead"),
        (("--until", "soon"), "a day such as"),
        (("--until", "2027-01-01", "--issuer", "nobody", "--licence", ID), "there is no issuer 'nobody'"),
        (("--until", "2027-01-01", "--server", "nowhere"), "has no server"),
    ],
)
def test_what_cannot_be_vouched_for_is_one_line(acme: Tenant, more: tuple[str, ...], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        run("licence", *VOUCH, *more)
    assert not LicenceProof.objects.exists()


def test_a_case_is_listed_with_who_has_the_licence_and_decided(acme: Tenant, cosmos: Tenant) -> None:
    proving.upload(customer=acme.customer, data=a_year(), now=timezone.now())
    with pytest.raises(RefusedError):
        proving.upload(customer=cosmos.customer, data=a_year(), now=timezone.now())
    (case,) = run("licence", "cases")
    assert (case["customer"], case["in_use_by"], case["licence_id"]) == ("cosmos", "acme", ID)
    decided = run("licence", "resolve", "--number", str(case["id"]), "--to", "moved", "--note", "Bought.")
    assert decided["resolution"] == "moved"
    assert [each["customer"] for each in run("licence", "list", "--licence", ID)] == ["cosmos"]
    assert run("licence", "cases") == []
    assert len(run("licence", "cases", "--decided")) == 1
