"""Maintenance and incidents: told to everybody once, also where two publish or send at once, and never changed."""

from datetime import timedelta

import pytest
import redis
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from pytest_django import Settings

from billing import customers
from billing.incidents import announcing, canary, mailing, reading
from billing.models import Incident, IncidentUpdate, MaintenanceWindow, Notice, Subscriber
from delivery.insight import announced
from tenants.models import AuditEvent, Customer, Role
from tenants.problem import ProblemError
from tests.billing.incidents.canary_world import MINUTE, NOW
from tests.browsing import member, tenant

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def people(settings: Settings, valkey: redis.Redis) -> None:
    """Acme has an owner and no contacts, Cosmos has contacts, Gone is suspended; Sue has subscribed."""
    settings.PUBLIC_URL = "https://push.example.com"
    member("ada", tenant("Acme").customer, Role.OWNER)
    cosmos = tenant("Cosmos").customer
    cosmos.contacts = ["Push@cosmos.example", "sue@sub.example"]
    cosmos.save()
    gone = tenant("Gone").customer
    member("gus", gone, Role.OWNER)
    customers.suspend(customer=gone, reason="unpaid")
    canary.setup()
    Subscriber.objects.create(email="Sue@sub.example", confirmed_at=NOW)


def window(**more: object) -> MaintenanceWindow:
    values = {
        "title": "New disks",
        "text": "Pages are away.",
        "components": ["pages"],
        "starts_at": NOW + 80 * HOUR,
        "ends_at": NOW + 81 * HOUR,
    }
    return MaintenanceWindow.objects.create(**{**values, **more})


def incident(text: str = "We look into it.") -> Incident:
    row = Incident.objects.create(title="Pushes fail", components=["apns"], impact="down", started_at=NOW)
    IncidentUpdate.objects.create(incident=row, at=NOW, text=text)
    return row


def sent() -> list[tuple[str, str]]:
    """Who was mailed what, since the last time."""
    found = sorted((each.to[0], each.subject) for each in mail.outbox)
    mail.outbox.clear()
    return found


def test_maintenance_is_mailed_once_to_every_customers_contacts_or_owners_and_to_subscribers() -> None:
    row = announcing.publish_window(window=window(), now=NOW)
    assert mailing.send_due(NOW) == 3
    subject = "Maintenance on 2 Dec 2026, 22:30 UTC: New disks"
    assert sent() == [(to, subject) for to in ("ada@acme.example", "push@cosmos.example", "sue@sub.example")]
    assert mailing.send_due(NOW + HOUR) == 0
    with pytest.raises(ProblemError, match="already"):
        announcing.publish_window(window=row, now=NOW)
    assert mailing.send_due(NOW + HOUR) == 0
    assert AuditEvent.objects.get(action="maintenance.announce").details["starts"].startswith("2026-12-02T22:30")


def test_a_subscribers_mail_can_be_ended_by_one_click_and_a_customers_says_nothing_of_it() -> None:
    announcing.publish_window(window=window(), now=NOW)
    mailing.send_due(NOW)
    by = {each.to[0]: each for each in mail.outbox}
    headers = by["sue@sub.example"].extra_headers
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = headers["List-Unsubscribe"].strip("<>")
    assert link.startswith("https://push.example.com/status/leave/")
    assert link in by["sue@sub.example"].body
    assert by["ada@acme.example"].extra_headers == {}
    assert "leave" not in by["ada@acme.example"].body


def test_the_sla_reads_what_was_announced_when_and_no_draft() -> None:
    window(title="A draft")
    row = announcing.publish_window(window=window(), now=NOW)
    found = reading.windows(NOW, NOW + 100 * HOUR)
    assert found == [reading.Window(row.starts_at, row.ends_at, NOW)]
    assert found[0].start - found[0].announced_at >= announcing.AHEAD
    assert reading.windows(NOW, row.starts_at) == []
    assert reading.windows(row.ends_at, NOW + 100 * HOUR) == []


def test_what_is_cancelled_before_it_begins_is_no_window_and_what_ends_early_ends_then() -> None:
    before = announcing.publish_window(window=window(), now=NOW)
    announcing.cancel_window(window=before, now=NOW + HOUR)
    during = announcing.publish_window(window=window(), now=NOW)
    announcing.cancel_window(window=during, now=during.starts_at + 10 * MINUTE)
    found = reading.windows(NOW, NOW + 100 * HOUR)
    assert [(each.start, each.end) for each in found] == [(during.starts_at, during.starts_at + 10 * MINUTE)]
    # Whoever was not told yet of the first hears of its end alone.
    assert mailing.send_due(NOW + 90 * HOUR) == 6
    assert {subject.partition(" on ")[0] for _, subject in sent()} == {"No maintenance"}
    with pytest.raises(ProblemError, match="over"):
        announcing.cancel_window(window=before, now=NOW + HOUR)


def test_maintenance_that_is_over_and_an_incident_without_news_are_not_announced() -> None:
    with pytest.raises(ProblemError, match="over"):
        announcing.publish_window(window=window(), now=NOW + 90 * HOUR)
    row = announcing.publish_incident(incident=incident(), now=NOW)
    with pytest.raises(ProblemError, match="nothing new"):
        announcing.publish_incident(incident=row, now=NOW)
    with pytest.raises(ProblemError, match="draft"):
        announcing.cancel_window(window=window(), now=NOW)


def test_an_incident_goes_to_subscribers_with_each_update() -> None:
    row = announcing.publish_incident(incident=incident(), now=NOW)
    mailing.send_due(NOW)
    assert sent() == [("sue@sub.example", "Incident: Pushes fail")]
    IncidentUpdate.objects.create(incident=row, at=NOW + HOUR, text="It is over.")
    assert [each.text for each in reading.incidents(NOW, NOW + HOUR)[0].updates.all()] == ["We look into it."]
    row.resolved_at = NOW + HOUR
    row.save()
    announcing.publish_incident(incident=row, now=NOW + HOUR)
    mailing.send_due(NOW + HOUR)
    assert mail.outbox[0].body.index("It is over.") < mail.outbox[0].body.index("We look into it.")
    assert sent() == [("sue@sub.example", "Resolved: Pushes fail")]


def test_a_mail_server_that_refuses_is_asked_again_later_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    announcing.publish_incident(incident=incident(), now=NOW)

    def refuse(*_args: object) -> int:
        raise OSError("no route to host")

    with monkeypatch.context() as patch:
        patch.setattr(EmailBackend, "send_messages", refuse)
        assert mailing.send_due(NOW) == 0
        assert mailing.send_due(NOW) == 0
        assert [row.tries for row in Notice.objects.all()] == [1]
    assert mailing.send_due(NOW + MINUTE) == 0
    assert mailing.send_due(NOW + 2 * MINUTE) == 1
    announcing.publish_window(window=window(), now=NOW)
    Notice.objects.update(tries=mailing.TRIES_MAX - 1)
    with monkeypatch.context() as patch:
        patch.setattr(EmailBackend, "send_messages", refuse)
        mailing.send_due(NOW)
    assert not Notice.objects.exists()


def test_a_mail_of_what_is_no_more_is_dropped() -> None:
    announcing.publish_window(window=window(), now=NOW)
    MaintenanceWindow.objects.all().delete()
    assert mailing.send_due(NOW) == 0
    assert not Notice.objects.exists()


def test_an_erased_customers_addresses_are_in_no_list_any_more() -> None:
    cosmos = tenant("Other").customer
    cosmos.contacts = ["sue@sub.example"]
    cosmos.save()
    announcing.publish_window(window=window(), now=NOW)
    customers.suspend(customer=cosmos, reason="unpaid")
    customers.erase(customer=cosmos)
    assert not Subscriber.objects.exists()
    assert not Notice.objects.filter(email="sue@sub.example").exists()


def test_charts_of_customers_have_them_as_bands() -> None:
    announcing.publish_incident(incident=incident(), now=NOW)
    row = announcing.publish_window(window=window(starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR), now=NOW)
    found = announced.bands(NOW + 30 * MINUTE, NOW + 3 * HOUR)
    assert [(each.start, each.end, each.label) for each in found] == [
        (NOW + 30 * MINUTE, None, "Incident: Pushes fail"),
        (row.starts_at, row.ends_at, "Maintenance: New disks"),
    ]
    assert announced.bands(NOW - 2 * HOUR, NOW) == []


def test_an_address_that_no_mail_can_have_keeps_nobody_else_waiting() -> None:
    cosmos = Customer.objects.get(slug="cosmos")
    cosmos.contacts = ["a@" + "\u00e4" * 62 + ".example"]  # a form takes it, and IDNA does not
    cosmos.save()
    announcing.publish_window(window=window(), now=NOW)
    Notice.objects.filter(email=cosmos.contacts[0]).update(due_at=NOW - HOUR)
    mailing.send_due(NOW)
    assert {to for to, _ in sent()} == {"ada@acme.example", "sue@sub.example"}
    assert Notice.objects.get().tries == 1
