"""Sites are fetched again by themselves, findings are told, and what is proven crosses by the directory."""

from datetime import timedelta

import pytest
from django.core import mail
from pytest_django import Settings

from billing import entitlements
from hpns.local.mattermost_site import Installation, Site
from tenants import services
from tenants.directory.live import Directory
from tenants.models import AuditEvent, Finding
from tenants.models import Site as SiteRow
from tenants.proofs import evidence, findings, sites, telling
from tenants.proofs.evidence import Sample
from tests.roles import WORKER, acting_as
from tests.tenants.conftest import Acme
from tests.tenants.proofs.sending import DEVICE, NOW, Sender, kinds, seen

pytestmark = pytest.mark.django_db


# --- Telling


def test_a_finding_is_told_to_owner_and_staff_once(
    acme: Acme, home: Installation, sender: Sender, settings: Settings
) -> None:
    settings.OPERATOR_EMAIL = ["staff@push.example"]
    services.customer_contacts(customer=acme.customer, contacts=["ada@acme.example"])
    sender.push()
    sender.push(1)
    Sender(acme.key, Installation()).push(2)
    with acting_as(WORKER):
        assert telling.tell() == 1
        assert telling.tell() == 0
    assert {tuple(sent.to) for sent in mail.outbox} == {("ada@acme.example",), ("staff@push.example",)}
    assert "Another Mattermost installation pushes with the key" in mail.outbox[0].subject
    assert "and revoke this" in mail.outbox[0].body
    assert DEVICE not in mail.outbox[0].body


def test_a_replay_is_told_to_staff_alone(acme: Acme, home: Installation, sender: Sender, settings: Settings) -> None:
    settings.OPERATOR_EMAIL = ["staff@push.example"]
    services.customer_contacts(customer=acme.customer, contacts=["ada@acme.example"])
    sample = sender.sample()
    sender.sent_elsewhere.add(sample.ack_id)
    sender.record(sample)
    assert telling.tell() == 1
    assert [sent.to for sent in mail.outbox] == [["staff@push.example"]]


@pytest.mark.parametrize("kind", Finding.Kind.values)
def test_each_finding_has_words_that_name_no_other_customer(acme: Acme, kind: str) -> None:
    row = findings.note(Finding.Kind(kind), server=acme.server, mattermost_id="x", now=NOW, key=acme.key, other="y")
    words = telling.told(row)
    assert words.sentence
    assert not words.sentence.endswith(".")
    assert words.what_to_do.endswith(".")


# --- Sites, by themselves


def test_a_site_is_fetched_again_after_a_day_and_after_any_pause(acme: Acme, site: Site) -> None:
    sites.fetch(server=acme.server, address=site.url)
    fetched = SiteRow.objects.get()
    assert fetched.due_at is not None
    with acting_as(WORKER):
        assert sites.fetch_due(fetched.due_at - timedelta(minutes=1)) == 0
        assert sites.fetch_due(fetched.due_at + timedelta(days=40)) == 1
        assert sites.fetch_due(fetched.due_at + timedelta(days=40)) == 0
    fetched.refresh_from_db()
    assert fetched.fetched_at is not None
    assert fetched.fetched_at > NOW
    assert AuditEvent.objects.filter(action="site.fetch").count() == 1


def test_a_site_that_cannot_be_read_keeps_what_it_said(acme: Acme, site: Site) -> None:
    sites.fetch(server=acme.server, address=site.url)
    site.behaviour = "fails"
    row = SiteRow.objects.get()
    assert row.due_at is not None
    sites.fetch_due(row.due_at)
    again = SiteRow.objects.get()
    assert "503" in again.problem
    assert again.public_key == row.public_key
    assert again.due_at == row.due_at + sites.RETRY


def test_a_site_that_has_become_another_server_is_a_finding_and_changes_nothing_by_itself(
    acme: Acme, site: Site
) -> None:
    sites.fetch(server=acme.server, address=site.url)
    row, before = SiteRow.objects.get(), site.installation.diagnostic_id
    site.installation = Installation()
    assert row.due_at is not None
    sites.fetch_due(row.due_at)
    row.refresh_from_db()
    assert row.mattermost_id == before
    assert kinds(acme.server) == {"other_id"}
    sites.fetch(server=acme.server, address=site.url)
    row.refresh_from_db()
    assert row.mattermost_id == site.installation.diagnostic_id
    assert kinds(acme.server) == set()


def test_a_signature_that_does_not_verify_on_the_way_by_server_id_has_the_site_fetched(
    acme: Acme, home: Installation
) -> None:
    row = seen(acme.server, home, at=NOW - timedelta(hours=1))
    at = int(NOW.timestamp())
    with acting_as(WORKER):
        evidence.record([Sample(0, home.diagnostic_id, at, "wrong")], lambda ack_id, customer: False)
        evidence.record([Sample(0, "another", at, "wrong")], lambda ack_id, customer: False)
    row.refresh_from_db()
    assert row.due_at == NOW


# --- The directory


def listed(server_id: str) -> list[tuple[int, tuple[str, ...]]]:
    directory = Directory()
    directory.load()
    return [(each.server_id, each.signers) for each in directory.listed(server_id)]


def test_a_proven_server_id_needs_no_staff_and_its_key_crosses_by_the_directory(
    acme: Acme, home: Installation, sender: Sender
) -> None:
    seen(acme.server, home)
    sender.push()
    assert listed(home.diagnostic_id) == []
    entitlements.change(customer=acme.customer, may_use_server_id=True)
    assert listed(home.diagnostic_id) == [(acme.server.pk, (home.public_key,))]
    renewed = Installation(diagnostic_id=home.diagnostic_id)
    seen(acme.server, renewed)
    assert listed(home.diagnostic_id) == [(acme.server.pk, (home.public_key, renewed.public_key))]


def test_a_site_that_was_only_read_speaks_for_nobody(acme: Acme, home: Installation) -> None:
    entitlements.change(customer=acme.customer, may_use_server_id=True)
    seen(acme.server, home)
    assert listed(home.diagnostic_id) == []
