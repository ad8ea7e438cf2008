"""The licence page: what is proven, in words; owners upload, bind and withdraw, and everybody else looks on."""

from collections.abc import Callable
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from pytest_django import Settings

from billing.licences import cases, proving, vouching
from billing.licences.site import Site
from billing.models import LicenceCase, LicenceProof
from billing.pages import licence
from tenants.models import Server
from tests.billing.licences import making
from tests.billing.licences.making import ID, lasting, made
from tests.browsing import Browser, Tenant, browser, tenant

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
ADDRESS = "/c/acme/licence/"
YEAR = timedelta(days=365)


@pytest.fixture
def acme(db: None, tmp_path: Path, settings: Settings) -> Tenant:
    settings.LICENCE_KEYS = making.key_folder(tmp_path / "issuers")
    return tenant("Acme")


@pytest.fixture
def owner(acme: Tenant) -> Browser:
    return browser(acme.customer, "owner")


def current(**changes: Any) -> bytes:
    """A licence that holds today and for most of a year."""
    return lasting(timezone.now() - timedelta(days=30), YEAR, **changes)


def upload(who: Browser, data: bytes, *, server: Server | None = None) -> Any:
    file = SimpleUploadedFile("acme.mattermost-license", data)
    return who.post(ADDRESS, {"file": file, "server": str(server.public_id) if server else ""}, follow=True)


def text(answer: Any) -> str:
    return " ".join(unescape(answer.content.decode()).split())


def test_an_owner_uploads_the_file_and_reads_what_is_proven(acme: Tenant, owner: Browser) -> None:
    assert "No licence is proven yet." in text(owner.get(ADDRESS))
    page = text(upload(owner, current(), server=acme.server))
    assert "This Professional licence includes the service until" in page
    assert "Proven: Professional for 250 users at chat.acme.example, until" in page
    assert ID in page
    assert "Acme GmbH" in page
    assert "Not verified yet" in page


def test_the_text_may_be_pasted_with_blanks_around_it(acme: Tenant, owner: Browser) -> None:
    data = current().decode()
    page = text(owner.post(ADDRESS, {"text": f"  {data[:100]}\r\n{data[100:]}\n\n"}, follow=True))
    assert "Proven: Professional" in page


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "Choose the licence file, or paste its text."),
        ({"text": "hello"}, "This is not a licence file, or a part of it is missing"),
        ({"text": "A" * 20_000}, "This is larger than 16 KiB"),
        ({"text": made("other").decode()}, "The signature of this licence is not good"),
        ({"text": made(features={"mhpns": False}).decode()}, "switched off in this Professional licence"),
        ({"text": made().decode(), "server": "nobody's"}, "nobody's is not one of the available choices"),
    ],
)
def test_what_will_not_do_is_said_at_the_form_and_what_was_typed_stays(
    acme: Tenant, owner: Browser, given: dict[str, str], why: str
) -> None:
    answer = owner.post(ADDRESS, given)
    assert answer.status_code == 200
    assert why in text(answer)
    assert f"{given.get('text', '')}</textarea>" in unescape(answer.content.decode())
    assert not LicenceProof.objects.exists()


def test_a_file_and_a_text_are_one_too_many(acme: Tenant, owner: Browser) -> None:
    file = SimpleUploadedFile("a.mattermost-license", current())
    answer = owner.post(ADDRESS, {"file": file, "text": current().decode()})
    assert "Give one of the two" in text(answer)


def test_a_file_of_any_size_is_read_no_further_than_a_licence_goes(acme: Tenant, owner: Browser) -> None:
    assert "This is larger than 16 KiB" in text(upload(owner, b"A" * 150_000))
    assert "This file is empty" in text(upload(owner, b""))


@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_who_is_no_owner_sees_it_without_the_forms(acme: Tenant, owner: Browser, role: str) -> None:
    upload(owner, current(), server=acme.server)
    other = browser(acme.customer, role)
    page = text(other.get(ADDRESS))
    assert "Proven: Professional for 250 users" in page
    assert '<form method="post" enctype' not in page
    assert "Withdraw this licence" not in page
    proof = LicenceProof.objects.get()
    for address in (ADDRESS, f"{ADDRESS}{proof.pk}/server/", f"{ADDRESS}{proof.pk}/withdraw/"):
        assert other.post(address, {"text": "x"}).status_code == 403


def test_another_accounts_licence_is_refused_and_the_page_says_that_staff_look_at_it(
    acme: Tenant, owner: Browser
) -> None:
    cosmos = tenant("Cosmos")
    proving.upload(customer=cosmos.customer, data=current(), now=timezone.now())
    page = text(upload(owner, current()))
    assert "This licence is in use by another account." in page
    assert "our staff look at it" in page
    assert "cosmos" not in page.lower()
    case = LicenceCase.objects.get()
    cases.resolve(case=case, resolution="kept", note="Cosmos has the contract.", now=timezone.now())
    page = text(owner.get(ADDRESS))
    assert "our staff look at it" not in page
    assert "Cosmos has the contract." in page


def test_another_customers_proof_is_not_there(acme: Tenant, owner: Browser) -> None:
    cosmos = tenant("Cosmos")
    theirs = proving.upload(customer=cosmos.customer, data=current(), now=timezone.now()).proof
    assert owner.get(f"{ADDRESS}{theirs.pk}/withdraw/").status_code == 404
    assert owner.post(f"{ADDRESS}{theirs.pk}/withdraw/").status_code == 404
    assert owner.post(f"{ADDRESS}{theirs.pk}/server/").status_code == 404
    assert LicenceProof.objects.get().ended_at is None


def test_a_licence_is_withdrawn_after_it_was_asked_once_more(acme: Tenant, owner: Browser) -> None:
    upload(owner, current(), server=acme.server)
    address = f"{ADDRESS}{LicenceProof.objects.get().pk}/withdraw/"
    assert "another account can prove it" in text(owner.get(address))
    page = text(owner.post(address, follow=True))
    assert "was withdrawn" in page
    assert "No licence is proven yet." in page
    assert "withdrawn by its customer" in page


def test_the_server_can_be_said_later_and_is_missing_until_then(acme: Tenant, owner: Browser) -> None:
    Server.objects.create(customer=acme.customer, name="other.acme.example")
    page = text(upload(owner, current()))
    assert "Say which server Professional for 250 users is for." in page
    proof = LicenceProof.objects.get()
    page = text(owner.post(f"{ADDRESS}{proof.pk}/server/", {"server": str(acme.server.public_id)}, follow=True))
    assert "It is for chat.acme.example." in page
    assert "Say which server" not in page


def differing(_server: Server) -> Site:
    return Site("enterprise", 250, "Acme GmbH")


def agreeing(_server: Server) -> Site:
    return Site("professional", 250, "Acme GmbH")


@pytest.mark.parametrize(
    ("says", "words"),
    [(differing, "itself says that it runs with another licence: Enterprise, not"), (agreeing, "Says the same")],
)
def test_what_the_server_itself_says_is_compared(
    acme: Tenant, owner: Browser, monkeypatch: pytest.MonkeyPatch, says: Callable[[Server], Site], words: str
) -> None:
    monkeypatch.setattr(licence, "site_of", says)
    assert words in text(upload(owner, current(), server=acme.server))


def test_a_renewal_ahead_moves_the_end_and_a_gap_is_told(acme: Tenant, owner: Browser) -> None:
    now = timezone.now()
    upload(owner, lasting(now - timedelta(days=335), YEAR), server=acme.server)
    assert "Upload the renewed licence as soon as you have it" in text(owner.get(ADDRESS))
    page = text(upload(owner, lasting(now + timedelta(days=40), YEAR, id="g" * 26), server=acme.server))
    assert "No licence is in force after" in page
    page = text(upload(owner, lasting(now + timedelta(days=20), YEAR, id="r" * 26), server=acme.server))
    assert "No licence is in force after" not in page
    assert "Upload the renewed licence as soon" not in page
    assert ", and by the licence after it until" in page


def test_what_was_renewed_goes_to_those_before(acme: Tenant, owner: Browser) -> None:
    now = timezone.now()
    upload(owner, lasting(now - YEAR - timedelta(days=2), YEAR), server=acme.server)
    page = text(upload(owner, current(id="n" * 26), server=acme.server))
    assert "expired, and renewed" in page
    assert page.count("Withdraw this licence") == 1


def test_an_ended_licence_says_until_when_it_counts(acme: Tenant, owner: Browser) -> None:
    page = text(upload(owner, lasting(timezone.now() - YEAR - timedelta(days=2), YEAR), server=acme.server))
    assert "The Professional licence ended on" in page
    assert "It counts until" in page


def test_what_staff_vouch_for_stands_there_with_the_reason(acme: Tenant, owner: Browser) -> None:
    now = timezone.now()
    vouching.vouch(
        customer=acme.customer, sku="E20", users=40, expires_at=now + YEAR, reason="The contract of May.", now=now
    )
    page = text(owner.get(ADDRESS))
    assert "Our staff vouch for Enterprise for 40 users" in page
    assert "The contract of May." in page


def test_entry_says_its_terms(acme: Tenant, owner: Browser) -> None:
    page = text(upload(owner, current(sku_short_name="entry", limits={"push_notifications": 10_000})))
    assert "Mattermost Entry: pushes go by the terms of the test service, with 10,000 pushes a month" in page


def test_without_a_key_the_page_says_that_licences_cannot_be_checked_here(
    acme: Tenant, owner: Browser, settings: Settings
) -> None:
    settings.LICENCE_KEYS = ""
    page = text(owner.get(ADDRESS))
    assert "cannot be checked here" in page
    assert "Prove licence" not in page
    assert "cannot be checked here" in text(owner.post(ADDRESS, {"text": "x"}))
