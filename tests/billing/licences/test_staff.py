"""Staff vouch for licences, end them, and resolve cases; what they decide has a reason, which the customer sees."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from billing.licences import cases, proving, reading, vouching
from billing.licences.proving import RefusedError
from billing.models import LicenceCase, LicenceProof
from tenants.models import AuditEvent
from tenants.problem import ProblemError
from tests.billing.licences.making import END, ID, NOW, made
from tests.browsing import Tenant
from tests.tenants.two_customers import page_of, staff_page

pytestmark = pytest.mark.django_db


def vouch(one: Tenant, **changes: Any) -> LicenceProof:
    """As the admin does."""
    given = {"sku": "E20", "users": 40, "expires_at": END, "reason": "The contract of May.", "now": NOW, **changes}
    with staff_page():
        return vouching.vouch(customer=one.customer, **given)


@pytest.fixture
def case(acme: Tenant, cosmos: Tenant) -> LicenceCase:
    """Cosmos has sent what Acme has proven."""
    proving.upload(customer=acme.customer, data=made(), now=NOW, server=acme.server)
    with pytest.raises(RefusedError):
        proving.upload(customer=cosmos.customer, data=made(), now=NOW, server=cosmos.server)
    return LicenceCase.objects.get()


def test_what_staff_vouch_for_counts_like_a_proof_until_its_end(acme: Tenant) -> None:
    vouch(acme, server=acme.server)
    (fact,) = reading.proofs(acme.customer, NOW)
    assert (fact.vouched, fact.sku, fact.users, fact.starts_at, fact.expires_at) == (True, "E20", 40, NOW, END)
    event = AuditEvent.objects.get(action="licence.vouch")
    assert (event.customer_id, event.details["reason"]) == (acme.customer.pk, "The contract of May.")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"reason": " "}, "reason"),
        ({"reason": "two\nlines"}, "reason"),
        ({"expires_at": NOW}, "expires_at"),
        ({"expires_at": NOW + timedelta(days=5000)}, "expires_at"),
        ({"sku": "entry"}, "sku"),
        ({"users": -1}, "users"),
        ({"licence_id": ID}, "licence_id"),
        ({"licence_id": "short", "issuer": "first"}, "licence_id"),
    ],
)
def test_vouching_needs_a_reason_a_plan_and_an_end(acme: Tenant, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ProblemError) as problem:
        vouch(acme, **changes)
    assert problem.value.field == field
    assert not LicenceProof.objects.exists()


def test_a_licence_that_staff_vouch_for_by_its_id_is_kept_from_others_and_replaced_by_its_own_file(
    acme: Tenant, cosmos: Tenant
) -> None:
    vouch(acme, issuer="first", licence_id=ID, server=acme.server)
    with pytest.raises(ProblemError, match="proven already"):
        vouch(cosmos, issuer="first", licence_id=ID)
    with pytest.raises(RefusedError, match="another account"), page_of(cosmos):
        proving.upload(customer=cosmos.customer, data=made(), now=NOW)
    with page_of(acme):
        proof = proving.upload(customer=acme.customer, data=made(), now=NOW).proof
    assert (proof.vouched, proof.server) == (False, acme.server)
    assert [fact.vouched for fact in reading.proofs(acme.customer, NOW)] == [False]


def test_ending_a_proof_needs_a_reason_and_is_final(acme: Tenant) -> None:
    proof = vouch(acme)
    with pytest.raises(ProblemError, match="say why"):
        vouching.end(proof=proof, reason="", now=NOW)
    assert vouching.end(proof=proof, reason="Cancelled.", now=NOW).changed
    assert not vouching.end(proof=proof, reason="Again.", now=NOW).changed
    assert LicenceProof.objects.get().end_reason == "Cancelled."
    assert AuditEvent.objects.filter(action="licence.end").count() == 1


def test_a_case_that_is_moved_gives_the_licence_to_who_asked(acme: Tenant, cosmos: Tenant, case: LicenceCase) -> None:
    assert [row.pk for row in cases.unresolved()] == [case.pk]
    with staff_page():
        cases.resolve(case=case, resolution="moved", note="Cosmos bought Acme.", now=NOW)
    assert reading.proofs(acme.customer, NOW) == []
    (fact,) = reading.proofs(cosmos.customer, NOW)
    assert (fact.licence_id, fact.server_id) == (ID, cosmos.server.pk)
    assert not cases.unresolved().exists()
    assert AuditEvent.objects.get(action="licence.end").customer_id == acme.customer.pk


@pytest.mark.parametrize("resolution", ["kept", "closed"])
def test_a_case_may_leave_everything_as_it_is(acme: Tenant, case: LicenceCase, resolution: str) -> None:
    cases.resolve(case=case, resolution=resolution, note="Acme has the contract.", now=NOW)
    assert LicenceProof.objects.get(ended_at=None).customer == acme.customer
    with pytest.raises(ProblemError, match="resolved already"):
        cases.resolve(case=case, resolution="moved", note="No.", now=NOW)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"resolution": "kept", "note": ""}, "say why"),
        ({"resolution": "perhaps", "note": "x"}, "say what"),
        ({"resolution": "moved", "note": "x", "now": END + timedelta(days=30)}, "has ended"),
    ],
)
def test_a_case_is_resolved_with_a_reason_or_not_at_all(case: LicenceCase, given: dict[str, Any], why: str) -> None:
    with pytest.raises(ProblemError, match=why):
        cases.resolve(case=case, **{"now": NOW, **given})
    assert LicenceCase.objects.get().resolved_at is None


def test_an_unknown_plan_cannot_be_moved(acme: Tenant) -> None:
    with pytest.raises(RefusedError):
        proving.upload(customer=acme.customer, data=made(sku_short_name="platinum"), now=NOW)
    with pytest.raises(ProblemError, match="vouched for"):
        cases.resolve(case=LicenceCase.objects.get(), resolution="moved", note="x", now=NOW)


def test_a_customers_page_cannot_resolve_its_case(cosmos: Tenant, case: LicenceCase) -> None:
    with pytest.raises(Exception, match="row-level security"), page_of(cosmos), transaction.atomic():
        LicenceCase.objects.filter(pk=case.pk).update(resolved_at=NOW, resolution="moved")
