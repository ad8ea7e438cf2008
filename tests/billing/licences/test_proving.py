"""From a file to a proof: bound to one server, unique, renewed without a gap, withdrawn; each act in the audit log."""

from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import Settings

from billing.licences import proving, reading
from billing.licences.file import LicenceFileError
from billing.licences.proving import Proven, RefusedError
from billing.models import LicenceCase, LicenceProof
from tenants.models import AuditEvent, Server
from tenants.problem import ProblemError
from tests.billing.licences import making
from tests.billing.licences.making import END, ID, NOW, START, lasting, made, milliseconds
from tests.billing.licences.uploading import upload
from tests.browsing import Tenant
from tests.roles import WORKER, acting_as
from tests.tenants.two_customers import page_of

pytestmark = pytest.mark.django_db

YEAR = timedelta(days=365)


def events(action: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action))


def test_a_good_file_becomes_a_proof_for_one_server(acme: Tenant) -> None:
    proof, judgement, changed, _ = upload(acme, made())
    assert (proof.licence_id, proof.issuer, proof.company, proof.users) == (ID, "first", "Acme GmbH", 250)
    assert (proof.server, proof.expires_at, changed, judgement.counts) == (acme.server, END, True, True)
    (fact,) = reading.proofs(acme.customer, NOW)
    assert (fact.server_id, fact.sku, fact.users, fact.vouched) == (acme.server.pk, "professional", 250, False)
    (event,) = events("licence.prove")
    assert event.details["ends"] == "2027-03-01"


def test_of_the_file_only_its_digest_is_kept(acme: Tenant) -> None:
    upload(acme, made())
    row = LicenceProof.objects.values().get()
    assert made().decode()[:40] not in str(row)
    assert "ada@acme.example" not in str(row)


def test_the_same_file_again_changes_nothing(acme: Tenant) -> None:
    first = upload(acme, made())
    again = upload(acme, made() + b"\n")
    assert (again.proof.pk, again.changed) == (first.proof.pk, False)
    assert len(events("licence.prove")) == 1


def test_the_same_file_for_another_server_moves_the_licence_there(acme: Tenant) -> None:
    upload(acme, made())
    other = Server.objects.create(customer=acme.customer, name="other.acme.example")
    moved = proving.upload(customer=acme.customer, data=made(), now=NOW, server=other)
    assert (moved.changed, LicenceProof.objects.get().server) == (True, other)
    assert events("licence.bind")[0].details["server"] == "other.acme.example"


def test_a_newer_file_of_the_same_licence_takes_the_place_of_the_older_one_and_not_the_other_way(acme: Tenant) -> None:
    newer = made(issued_at=milliseconds(START) + 1, expires_at=milliseconds(END + YEAR))
    upload(acme, made())
    upload(acme, newer)
    assert LicenceProof.objects.get(ended_at=None).expires_at == END + YEAR
    with pytest.raises(ProblemError, match="a newer file of this licence, issued on 1 March 2026"):
        upload(acme, made())
    assert LicenceProof.objects.filter(ended_at=None).count() == 1


def test_a_second_customer_is_refused_and_the_case_is_there_for_staff(acme: Tenant, cosmos: Tenant) -> None:
    upload(acme, made())
    for _ in range(2):
        with pytest.raises(RefusedError, match="in use by another account") as refused:
            upload(cosmos, made())
        assert "acme" not in str(refused.value).lower()
    case = LicenceCase.objects.get()
    assert (case.customer, case.server, case.kind, case.attempts) == (cosmos.customer, cosmos.server, "double_use", 2)
    assert LicenceProof.objects.get().customer == acme.customer
    assert events("licence.dispute")[0].customer_id == cosmos.customer.pk


def test_what_was_withdrawn_can_be_proven_by_another(acme: Tenant, cosmos: Tenant) -> None:
    proof = upload(acme, made()).proof
    with page_of(acme):
        assert proving.withdraw(proof=proof, now=NOW).changed
        assert not proving.withdraw(proof=proof, now=NOW).changed
    assert reading.proofs(acme.customer, NOW) == []
    assert upload(cosmos, made()).changed
    assert len(events("licence.withdraw")) == 1


def test_a_renewal_that_is_uploaded_ahead_leaves_no_gap(acme: Tenant) -> None:
    upload(acme, made())
    upload(acme, lasting(END - timedelta(days=20), YEAR, id="r" * 26))
    found = reading.covered(acme.customer, NOW)
    assert found is not None
    assert (found.since, found.until) == (START, END - timedelta(days=20) + YEAR)
    assert [fact.licence_id for fact in reading.proofs(acme.customer, NOW)] == [ID, "r" * 26]
    at_the_end = reading.proofs(acme.customer, END)
    assert [fact.licence_id for fact in at_the_end] == ["r" * 26, ID]


def test_a_renewal_that_starts_later_than_the_end_leaves_one(acme: Tenant) -> None:
    upload(acme, made())
    proven = upload(acme, lasting(END + timedelta(days=1), YEAR, id="r" * 26))
    assert not proven.judgement.counts
    found = reading.covered(acme.customer, NOW)
    assert found is not None
    assert found.until == END
    assert reading.covered(acme.customer, END + timedelta(hours=1)) is None


def test_of_overlapping_licences_the_later_end_counts(acme: Tenant) -> None:
    upload(acme, made())
    upload(acme, lasting(START, 3 * YEAR, id="l" * 26))
    found = reading.covered(acme.customer, NOW)
    assert found is not None
    assert found.until == START + 3 * YEAR
    assert reading.proofs(acme.customer, NOW)[0].licence_id == "l" * 26


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (made(features={"mhpns": False}), "without_hpns"),
        (made(features={"cloud": True}), "cloud"),
        (made(is_trial=True), "trial"),
        (lasting(START - 2 * YEAR, YEAR), "expired"),
        (made(sku_short_name="starter", features={"mhpns": False}), "unknown_sku"),
    ],
    ids=["no mhpns", "cloud", "trial", "expired", "unknown"],
)
def test_what_proves_nothing_is_refused_and_leaves_nothing(acme: Tenant, data: bytes, code: str) -> None:
    with pytest.raises(RefusedError) as refused:
        upload(acme, data)
    assert refused.value.code == code
    assert not LicenceProof.objects.exists()
    assert not LicenceCase.objects.exists()


def test_a_good_licence_of_a_plan_that_is_not_known_becomes_a_case(acme: Tenant) -> None:
    with pytest.raises(RefusedError, match="platinum, is not known here"):
        upload(acme, made(sku_short_name="platinum"))
    assert LicenceCase.objects.get().kind == "unknown_plan"


def test_an_ended_licence_counts_within_the_grace(acme: Tenant) -> None:
    proven = upload(acme, lasting(NOW - YEAR, YEAR - timedelta(days=3)))
    assert (proven.judgement.code, proven.judgement.counts) == ("grace", True)


def test_a_trial_counts_as_long_as_the_operator_takes_trials(acme: Tenant, settings: Settings) -> None:
    settings.LICENCE_TRIALS = True
    assert upload(acme, made(is_trial=True)).changed
    assert len(reading.proofs(acme.customer, NOW)) == 1
    settings.LICENCE_TRIALS = False
    assert reading.proofs(acme.customer, NOW) == []


def test_entry_is_no_proof_of_e1_and_brings_its_quota(acme: Tenant) -> None:
    upload(acme, made(sku_short_name="entry", limits={"push_notifications": 10_000}))
    assert reading.proofs(acme.customer, NOW) == []
    assert reading.covered(acme.customer, NOW) is None
    assert reading.entry(acme.customer, NOW) == reading.EntryTerms(10_000, END)
    assert reading.entry(acme.customer, END) is None


def test_without_a_key_of_an_issuer_nothing_is_checked(acme: Tenant, settings: Settings) -> None:
    settings.LICENCE_KEYS = ""
    with pytest.raises(ProblemError, match="cannot be checked here"):
        upload(acme, made())


def test_a_key_that_is_put_into_the_folder_counts_at_once(acme: Tenant, issuer: str) -> None:
    with pytest.raises(LicenceFileError):
        upload(acme, made("other"))
    making.key_folder(Path(issuer), "other")
    assert upload(acme, made("other")).proof.issuer == "other"


# --- The database's own word


def test_the_worker_cannot_rewrite_what_a_licence_says(acme: Tenant) -> None:
    upload(acme, made())
    with pytest.raises(Exception, match="not rewritten"), acting_as(WORKER), transaction.atomic():
        LicenceProof.objects.update(expires_at=END + YEAR)


def test_a_customers_page_cannot_rewrite_nor_revive_nor_vouch(acme: Tenant, cosmos: Tenant) -> None:
    proof = upload(acme, made()).proof
    later = END + YEAR
    for change in ({"expires_at": later}, {"users": 9}, {"licence_id": "x" * 26}, {"vouched": True, "reason": "x"}):
        with pytest.raises(Exception, match="row-level security"), page_of(acme), transaction.atomic():
            LicenceProof.objects.filter(pk=proof.pk).update(**change)
    with pytest.raises(Exception, match="row-level security"), page_of(acme), transaction.atomic():
        LicenceProof.objects.filter(pk=proof.pk).update(server=cosmos.server)
    with page_of(acme):
        proving.withdraw(proof=proof, now=NOW)
    with pytest.raises(Exception, match="row-level security"), page_of(acme), transaction.atomic():
        LicenceProof.objects.filter(pk=proof.pk).update(ended_at=None)


def test_a_proof_without_a_file_or_staff_behind_it_cannot_be_kept(acme: Tenant) -> None:
    with pytest.raises(IntegrityError, match="proven_or_vouched"), transaction.atomic():
        LicenceProof.objects.create(customer=acme.customer, starts_at=START, expires_at=END)


@pytest.mark.django_db(transaction=True)
def test_of_two_uploads_at_once_one_wins_and_the_other_is_told(acme: Tenant, cosmos: Tenant) -> None:
    data, begin = made(), Barrier(2)
    results: dict[str, object] = {}

    def go(one: Tenant) -> None:
        try:
            begin.wait(30)
            results[one.customer.slug] = proving.upload(customer=one.customer, data=data, now=NOW, server=one.server)
        except ProblemError as problem:
            results[one.customer.slug] = problem
        finally:
            connection.close()

    threads = [Thread(target=go, args=(one,)) for one in (acme, cosmos)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    won = [slug for slug, result in results.items() if isinstance(result, Proven)]
    (lost,) = [result for result in results.values() if isinstance(result, RefusedError)]
    assert (len(won), lost.code) == (1, "in_use")
    assert LicenceProof.objects.get().customer.slug == won[0]
    assert LicenceCase.objects.get().customer.slug != won[0]
