"""The staff's pages for licences: lists that find and filter, vouching and ending by form, and cases to decide."""

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.utils import timezone

from billing.licences import proving, reading, vouching
from billing.licences.proving import RefusedError
from billing.models import LicenceCase, LicenceProof
from tests.billing.licences.making import ID, lasting
from tests.browsing import Browser, Tenant, staff

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
PROOFS = "/admin/billing/licenceproof/"
CASES = "/admin/billing/licencecase/"
YEAR = timedelta(days=365)


@pytest.fixture
def somebody(db: None) -> Browser:
    return Browser().enter(staff(), factor=True)


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer.status_code
    return " ".join(unescape(answer.content.decode()).split())


def prove(one: Tenant, since: timedelta = timedelta(days=-30), length: timedelta = YEAR, **changes: Any) -> None:
    now = timezone.now()
    data = lasting(now + since, length, **changes)
    proving.upload(customer=one.customer, data=data, now=now, server=one.server)


def vouch(who: Browser, one: Tenant, **changes: Any) -> Any:
    until = (timezone.now() + timedelta(days=90)).date().isoformat()
    given = {"customer": one.customer.pk, "server": one.server.pk, "plan": "E20", "users": 40, "until": until}
    return who.post(f"{PROOFS}add/", {**given, "reason": "The contract of May.", "company": "", **changes}, follow=True)


def test_a_form_vouches_for_a_licence(somebody: Browser, acme: Tenant) -> None:
    assert "E20" in text(somebody.get(f"{PROOFS}add/"))
    assert "was added successfully" in text(vouch(somebody, acme))
    (fact,) = reading.proofs(acme.customer)
    assert (fact.vouched, fact.users, fact.server_id) == (True, 40, acme.server.pk)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"reason": ""}, "This field is required"),
        ({"until": "2020-01-01"}, "The end must be ahead"),
        ({"licence_id": ID}, "both the issuer and the licence id"),
        ({"licence_id": "short", "issuer": "first"}, "26 letters and digits"),
    ],
)
def test_what_cannot_be_vouched_for_is_said_at_the_form(
    somebody: Browser, acme: Tenant, wrong: dict[str, str], why: str
) -> None:
    assert why in text(vouch(somebody, acme, **wrong))
    assert not LicenceProof.objects.exists()


def test_a_proof_is_ended_by_its_form_with_a_reason_and_is_read_only_then(somebody: Browser, acme: Tenant) -> None:
    prove(acme)
    address = f"{PROOFS}{LicenceProof.objects.get().pk}/change/"
    page = text(somebody.get(address))
    assert "End it, because" in page
    assert 'name="users"' not in page
    assert "This field is required" in text(somebody.post(address, {"end_reason": ""}))
    somebody.post(address, {"end_reason": "Cancelled."})
    assert LicenceProof.objects.get().end_reason == "Cancelled."
    assert 'name="end_reason"' not in text(somebody.get(address))


@pytest.mark.parametrize("words", [ID[:12], "Acme Gm", "acme", "chat.acme"])
def test_a_licence_is_found_by_id_company_customer_and_server(somebody: Browser, acme: Tenant, words: str) -> None:
    prove(acme)
    now = timezone.now()
    vouching.vouch(customer=acme.customer, sku="E10", users=1, expires_at=now + YEAR, reason="x", now=now)
    assert ID in text(somebody.get(PROOFS, {"q": words}))


def test_filters_tell_the_states_apart(somebody: Browser, acme: Tenant, cosmos: Tenant) -> None:
    prove(acme, id="c" * 26)
    prove(acme, timedelta(days=-340), id="e" * 26)
    prove(acme, timedelta(days=9), id="l" * 26)
    prove(cosmos, -YEAR - timedelta(days=3), id="x" * 26)
    now = timezone.now()
    vouching.vouch(customer=acme.customer, sku="E10", users=1, expires_at=now + YEAR, reason="word", now=now)
    gone = LicenceProof.objects.get(licence_id="l" * 26)
    for query, there in (
        ({"state": "counts"}, "cexv"),
        ({"state": "expiring"}, "e"),
        ({"state": "later"}, "l"),
        ({"state": "expired"}, "x"),
        ({"state": "ended"}, ""),
        ({"vouched__exact": "1"}, "v"),
        ({"double": "open"}, ""),
    ):
        page = text(somebody.get(PROOFS, query))
        rows = page.partition('id="result_list"')[2].partition("</table>")[0]
        found = {letter for letter in "celx" if letter * 26 in rows} | ({"v"} if "vouched for (E10)" in rows else set())
        assert found == set(there), query
    vouching.end(proof=gone, reason="x", now=now)
    assert "l" * 26 in text(somebody.get(PROOFS, {"state": "ended"}))


def test_a_case_says_what_would_happen_and_is_decided_by_its_form(
    somebody: Browser, acme: Tenant, cosmos: Tenant
) -> None:
    prove(acme)
    with pytest.raises(RefusedError):
        prove(cosmos)
    assert "another account wants it" in text(somebody.get(PROOFS, {"double": "open"}))
    assert ID in text(somebody.get(CASES, {"state": "open"}))
    assert ID not in text(somebody.get(CASES, {"state": "decided"}))
    address = f"{CASES}{LicenceCase.objects.get().pk}/change/"
    page = text(somebody.get(address))
    assert "ends the licence of acme at once, and gives it to cosmos at chat.cosmos.example" in page
    assert "This field is required" in text(somebody.post(address, {"resolution": "moved", "note": ""}))
    assert somebody.post(address, {"resolution": "moved", "note": "Bought."}).status_code == 302
    assert LicenceProof.objects.get(ended_at=None).customer == cosmos.customer
    assert 'name="note"' not in text(somebody.get(address))
    assert somebody.get(f"{CASES}add/").status_code == 403
