"""What sampled pushes prove of a server, and what they give away: leaked keys, restored backups, clones, replays."""

from datetime import timedelta

import pytest

from billing import customers
from hpns.local.mattermost_site import Installation, made_id
from tenants import scope, services
from tenants.models import AuditEvent, Finding, Proof
from tenants.models import Site as SiteRow
from tenants.proofs import evidence, findings, reading, sites
from tenants.proofs.reading import Step
from tests.roles import WORKER, acting_as
from tests.tenants.conftest import Acme
from tests.tenants.proofs.sending import NOW, Sender, documents_of, kinds, seen

pytestmark = pytest.mark.django_db


# --- Levels


def test_a_server_goes_from_claimed_to_licensed_step_by_step(acme: Acme, home: Installation, sender: Sender) -> None:
    assert reading.level(acme.server).step is Step.UNKNOWN
    services.server_id_add(server=acme.server, mattermost_id=home.diagnostic_id)
    assert reading.level(acme.server).step is Step.CLAIMED
    seen(acme.server, home)
    level = reading.level(acme.server)
    assert (level.step, level.mattermost_id) == (Step.SEEN, home.diagnostic_id)
    assert reading.proven_ids(acme.customer) == set()
    assert sender.push().how == Proof.How.FETCHED
    level = reading.level(acme.server)
    assert (level.step, level.word) == (Step.PROVEN, "proven")
    assert reading.proven_ids(acme.customer) == {home.diagnostic_id}
    assert reading.level(acme.server, lambda server, name: name == home.diagnostic_id).step is Step.LICENSED
    assert reading.level(acme.server, lambda server, name: False).step is Step.PROVEN
    summary = reading.site_summary(acme.server)
    assert summary is not None
    assert (summary.sku, summary.company, summary.users, summary.verified) == ("professional", "Acme", 100, True)


def test_a_proof_is_audited_once_and_told_to_the_running_processes(
    acme: Acme, home: Installation, sender: Sender
) -> None:
    seen(acme.server, home)
    for minute in range(3):
        row = sender.push(minute)
    assert row.verified_at == NOW + timedelta(minutes=2)
    (event,) = AuditEvent.objects.filter(action="server.prove")
    assert (event.customer_id, event.target, event.details["how"]) == (acme.customer.pk, "main", "fetched")


def test_pasted_documents_prove_as_much_of_the_key_and_nothing_of_the_company(
    acme: Acme, home: Installation, sender: Sender
) -> None:
    sites.keep(server=acme.server, found=documents_of(home), how=SiteRow.How.PASTED)
    assert sender.push().how == Proof.How.PASTED
    summary = reading.site_summary(acme.server)
    assert summary is not None
    assert not summary.verified


def test_where_no_site_was_read_two_pushes_tell_the_key(acme: Acme, home: Installation, sender: Sender) -> None:
    first = sender.push()
    assert (first.last, first.proven_at) == ("waiting", None)
    assert reading.level(acme.server).step is Step.UNKNOWN
    second = sender.push(1)
    assert (second.how, second.public_key, second.waiting) == ("recovered", home.public_key, None)
    assert reading.level(acme.server).step is Step.PROVEN


def test_the_site_of_another_server_is_not_proven_by_its_pushes(acme: Acme, sender: Sender) -> None:
    other = Installation()
    seen(acme.server, other)
    for minute in range(2):
        sender.push(minute)
    level = reading.level(acme.server)
    # Two pushes tell a key, but the server is known by what they carry, not by what the site says.
    assert level.mattermost_id == sender.server_id
    assert level.proof is not None
    assert level.proof.how == "recovered"


def test_a_push_that_claims_the_sites_server_id_and_is_signed_by_somebody_else_proves_nothing(acme: Acme) -> None:
    home, liar = Installation(), Installation()
    seen(acme.server, home)
    sender = Sender(acme.key, liar, server_id=home.diagnostic_id)
    for minute in range(3):
        row = sender.push(minute)
    assert (row.last, row.proven_at) == ("other", None)
    level = reading.level(acme.server)
    assert level.step is Step.SEEN
    assert "signed with another key" in level.missing


@pytest.mark.parametrize(("state", "word"), [("unsigned", "carries no signature"), ("bad", "another push")])
def test_a_push_without_a_good_signature_is_no_proof_and_the_page_can_say_why(
    acme: Acme, home: Installation, sender: Sender, state: str, word: str
) -> None:
    seen(acme.server, home)
    for minute in range(2):
        row = sender.push(minute, state=state, digest="", signature="")
    assert row.proven_at is None
    assert word in reading.level(acme.server).missing


# --- What is told apart


def test_our_key_with_another_installations_signature_is_a_leaked_key(
    acme: Acme, home: Installation, sender: Sender
) -> None:
    seen(acme.server, home)
    sender.push()
    thief = Sender(acme.key, Installation())
    for minute in range(1, 4):
        row = thief.push(minute)
    assert (row.last, row.proven_at) == ("other", None)
    assert kinds(acme.server) == {"leaked_key"}
    assert reading.proven_ids(acme.customer) == {home.diagnostic_id}


def test_the_same_signing_key_under_another_server_id_is_a_restored_backup(
    acme: Acme, home: Installation, sender: Sender
) -> None:
    sender.push()
    sender.push(1)
    moved = Sender(acme.key, home, server_id=made_id())
    assert moved.push(2).how == Proof.How.SAME_KEY
    assert kinds(acme.server) == {"restored_backup"}
    assert Finding.objects.get().other == home.diagnostic_id
    moved.push(3)
    assert Finding.objects.count() == 1


def test_the_same_installation_with_the_keys_of_two_servers_is_a_clone(acme: Acme, home: Installation) -> None:
    second = services.server_add(customer=acme.customer, name="copy").row
    other = services.key_add(server=second).row
    seen(acme.server, home)
    seen(second, home, site_url="https://copy.example.com")
    Sender(acme.key, home).push()
    Sender(other, home).push(1)
    assert kinds(acme.server) == kinds(second) == {"clone"}
    assert {row.other for row in Finding.objects.all()} == {"chat.example.com"}


def test_two_copies_are_told_of_for_as_long_as_both_push(acme: Acme, home: Installation) -> None:
    other = services.key_add(server=services.server_add(customer=acme.customer, name="copy").row).row
    seen(acme.server, home)
    seen(other.server, home)
    both = Sender(acme.key, home), Sender(other, home)
    for minute in (0, 2 * 1440):
        for sender in both:
            sender.push(minute)
    later = NOW + timedelta(days=2, minutes=5)
    with acting_as(WORKER):
        assert findings.look_again(later) == 2
        assert findings.look_again(later) == 0
    assert {row.last_at for row in Finding.objects.all()} == {later}
    both[0].push(4 * 1440)
    with acting_as(WORKER):
        findings.look_again(NOW + timedelta(days=4, minutes=5))
    assert {row.last_at for row in Finding.objects.all()} == {later}


def test_of_a_clone_with_another_customer_neither_is_told_who_it_is(
    acme: Acme, home: Installation, mallory: services.NewKey
) -> None:
    for key in (acme.key, mallory.row):
        seen(key.server, home)
        Sender(key, home).push()
    assert kinds(acme.server) == kinds(mallory.row.server) == {"clone"}
    assert {row.other for row in Finding.objects.all()} == {""}


def test_a_changed_key_is_a_warning_until_the_site_was_asked_and_says_the_same(
    acme: Acme, home: Installation, sender: Sender
) -> None:
    site = seen(acme.server, home)
    sender.push()
    renewed = Installation(diagnostic_id=home.diagnostic_id)
    changed = Sender(acme.key, renewed)
    row = changed.push(20)
    assert (row.last, row.public_key) == ("other", home.public_key)
    assert kinds(acme.server) == {"changed_key"}
    site.refresh_from_db()
    assert site.due_at == NOW + timedelta(minutes=20)
    seen(acme.server, renewed, at=NOW + timedelta(minutes=21))
    row = changed.push(22)
    assert (row.last, row.public_key) == ("verified", renewed.public_key)
    assert kinds(acme.server) == set()


def test_a_changed_key_that_the_site_does_not_know_is_a_leaked_one(
    acme: Acme, home: Installation, sender: Sender
) -> None:
    seen(acme.server, home)
    sender.push()
    thief = Sender(acme.key, Installation(diagnostic_id=home.diagnostic_id))
    thief.push(20)
    seen(acme.server, home, at=NOW + timedelta(minutes=21))
    row = thief.push(22)
    assert kinds(acme.server) == {"leaked_key"}
    assert row.public_key == home.public_key
    assert reading.level(acme.server).step is Step.PROVEN


def test_a_signature_that_another_customer_has_seen_proves_nothing_for_it(
    acme: Acme, home: Installation, mallory: services.NewKey
) -> None:
    """Mallory owns a phone on Acme's server, reads a signature there, and fetches Acme's site as its own."""
    seen(mallory.row.server, home)
    stolen = Sender(acme.key, home).sample()
    thief = Sender(mallory.row, home)
    thief.sent_elsewhere.add(stolen.ack_id)
    row = thief.record(stolen._replace(key_id=mallory.row.pk))
    assert (row.last, row.proven_at) == ("replayed", None)
    assert kinds(mallory.row.server) == {"replayed"}
    assert reading.proven_ids(mallory.row.server.customer) == set()
    # That is staff's to look into: the page of a customer does not accuse.
    assert not findings.living(mallory.row.server, NOW).exists()


def test_two_replayed_signatures_tell_no_key_either(acme: Acme, home: Installation, mallory: services.NewKey) -> None:
    thief = Sender(mallory.row, home)
    for minute in range(3):
        stolen = Sender(acme.key, home).sample(minute)
        thief.sent_elsewhere.add(stolen.ack_id)
        row = thief.record(stolen._replace(key_id=mallory.row.pk))
    assert (row.last, row.proven_at, row.waiting) == ("replayed", None, None)


def test_the_same_sample_twice_tells_no_key(sender: Sender) -> None:
    sample = sender.sample()
    sender.record(sample)
    assert sender.record(sample._replace(at=sample.at + 60)).proven_at is None


def test_a_server_id_of_somebody_elses_is_not_trusted_on_first_use(
    acme: Acme, home: Installation, mallory: services.NewKey
) -> None:
    seen(acme.server, home)
    liar = Sender(mallory.row, Installation(), server_id=home.diagnostic_id)
    for minute in range(3):
        row = liar.push(minute)
    assert (row.last, row.proven_at) == ("other", None)


def test_keys_of_one_server_are_proven_by_each_other(acme: Acme, home: Installation, sender: Sender) -> None:
    sender.push()
    sender.push(1)
    second = services.key_add(server=acme.server).row
    assert Sender(second, home).push(2).how == "recovered"
    assert kinds(acme.server) == set()


def test_what_only_a_revoked_keys_pushes_said_is_no_proof_any_more(acme: Acme, sender: Sender) -> None:
    sender.push()
    sender.push(1)
    services.key_revoke(key=acme.key)
    assert reading.proven_ids(acme.customer) == set()
    assert reading.level(acme.server).step is Step.UNKNOWN


def test_made_up_server_ids_are_kept_for_a_key_up_to_a_bound(acme: Acme, home: Installation) -> None:
    samples = [Sender(acme.key, home, server_id=f"made{number}").sample() for number in range(60)]
    evidence.record(samples, lambda ack_id, customer: False)
    assert Proof.objects.count() == evidence.IDS_PER_KEY_MAX


def test_samples_of_keys_that_are_gone_are_left_out(sender: Sender) -> None:
    with acting_as(WORKER):
        evidence.record([sender.sample(key_id=10**9)], lambda ack_id, customer: False)
    assert not Proof.objects.exists()


def test_what_is_known_already_costs_one_statement_for_all(
    acme: Acme, home: Installation, sender: Sender, django_assert_max_num_queries: object
) -> None:
    seen(acme.server, home)
    sender.push()
    samples = [sender.sample(minute) for minute in range(1, 5)]
    with django_assert_max_num_queries(4):  # type: ignore[operator]
        evidence.record(samples, lambda ack_id, customer: False)


# --- The fence


def test_in_a_customers_scope_the_level_is_read_by_the_customer(acme: Acme, home: Installation, sender: Sender) -> None:
    seen(acme.server, home)
    sender.push()
    with scope.customer(acme.customer):
        assert reading.level(acme.server).step is Step.PROVEN
    other = customers.add(name="Other", offer="hpns").row
    with scope.customer(other):
        assert reading.level(acme.server).step is Step.UNKNOWN
