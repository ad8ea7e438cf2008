"""The status page as anybody gets it, its foot on other pages, and what staff see in admin and boards."""

from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.core import mail
from django.db import DatabaseError
from django.utils import timezone
from pytest_django import Settings

from billing.incidents import mailing, publishing, status
from billing.models import CanaryMinute, Incident, IncidentUpdate, MaintenanceWindow, Subscriber
from hpns.pages import service_status
from tenants.models import AuditEvent
from tests.billing.incidents.canary_world import MINUTE, beats, since
from tests.browsing import Browser, staff

pytestmark = pytest.mark.django_db
FIELDS = {
    "title": "New disks",
    "components": ["pages", "apns"],
    "starts_at_0": "2099-01-02",
    "starts_at_1": "10:00",
    "ends_at_0": "2099-01-02",
    "ends_at_1": "11:00",
    "text": "Pages are away.",
}
INCIDENT = {
    "title": "Pushes fail",
    "components": ["apns"],
    "impact": "down",
    "started_at_0": "2026-01-02",
    "started_at_1": "10:00",
    "updates-TOTAL_FORMS": "1",
    "updates-INITIAL_FORMS": "0",
    "updates-0-at_0": "2026-01-02",
    "updates-0-at_1": "10:05",
    "updates-0-text": "We look into it.",
}


@pytest.fixture(autouse=True)
def public(settings: Settings, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PUBLIC_URL = "https://push.example.com"
    monkeypatch.setattr(service_status, "_kept", (0.0, {}))


@pytest.fixture
def boss() -> Browser:
    return Browser().enter(staff(), factor=True)


def well() -> None:
    now = timezone.now().replace(second=0, microsecond=0)
    beats(since(now - timedelta(hours=1), 60))


def test_anybody_gets_the_page_with_a_policy_of_its_own_and_may_keep_it_for_a_moment() -> None:
    well()
    answer = Browser().get("/status/")
    assert "Everything works." in answer.content.decode()
    assert "'sha256-" in answer["Content-Security-Policy"]
    assert answer["Cache-Control"] == "public, max-age=30"
    assert Browser().get("/status/status.json")["Content-Type"] == "application/json"
    assert Browser().get("/status/feed.atom")["Content-Type"].startswith("application/atom+xml")


def test_without_a_database_the_page_is_the_file_that_was_written_last(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.STATUS_DIR = str(tmp_path)
    well()
    publishing.publish(timezone.now())
    monkeypatch.setattr(publishing, "KEPT", "nothing")

    def away(_now: object) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(status, "read", away)
    assert "Everything works." in Browser().get("/status/").content.decode()
    settings.STATUS_DIR = ""
    assert Browser().get("/status/").status_code == 503


def test_the_foot_of_a_page_leads_there_and_says_how_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Status of the service</a>" in Browser().get("/account/login/").content.decode()
    well()
    publishing.publish(timezone.now())
    monkeypatch.setattr(service_status, "_kept", (0.0, {}))
    assert "Everything works." in Browser().get("/account/login/").content.decode()
    # And pages that need no store lead there all the same.
    assert '<a href="/status/">Status of the service</a>' in Browser().get("/").content.decode()


def test_staff_see_the_mail_before_it_goes_out_and_a_draft_is_told_to_nobody(boss: Browser) -> None:
    Subscriber.objects.create(email="sue@example.com", confirmed_at=timezone.now())
    answer = boss.post("/admin/billing/maintenancewindow/add/", FIELDS, follow=True)
    page = answer.content.decode()
    assert "To 1 address: 0 of customers, 1 subscribed" in page
    assert "Maintenance on 2 Jan 2099, 10:00 UTC: New disks" in page
    assert "Its minutes are left out" in page
    assert mailing.send_due(timezone.now()) == 0
    row = MaintenanceWindow.objects.get()
    boss.post(f"/admin/billing/maintenancewindow/{row.pk}/change/", {**FIELDS, "_publish": "1"})
    assert mailing.send_due(timezone.now()) == 1
    assert [each.to for each in mail.outbox] == [["sue@example.com"]]
    event = AuditEvent.objects.get(action="maintenance.announce")
    assert (event.actor, event.actor_kind) == ("staff@example.com", "staff")


def test_what_was_announced_stands_and_is_not_deleted(boss: Browser) -> None:
    boss.post("/admin/billing/maintenancewindow/add/", FIELDS)
    row = MaintenanceWindow.objects.get()
    there = f"/admin/billing/maintenancewindow/{row.pk}/"
    boss.post(f"{there}change/", {**FIELDS, "_publish": "1"})
    boss.post(f"{there}change/", {**FIELDS, "starts_at_1": "09:00", "title": "Other"})
    boss.post(f"{there}delete/", {"post": "yes"})
    after = MaintenanceWindow.objects.get()
    assert (after.title, after.starts_at) == ("New disks", row.starts_at)
    boss.post(f"{there}change/", {"_cancel": "1"})
    assert MaintenanceWindow.objects.get().cancelled_at is not None


def test_an_incident_is_published_by_its_button_and_what_was_said_stands(boss: Browser) -> None:
    boss.post("/admin/billing/incident/add/", INCIDENT)
    row, update = Incident.objects.get(), IncidentUpdate.objects.get()
    assert row.published_at is None
    there = f"/admin/billing/incident/{row.pk}/change/"
    form = {**INCIDENT, "updates-INITIAL_FORMS": "1", "updates-0-id": str(update.pk), "updates-0-incident": str(row.pk)}
    page = boss.get(there).content.decode()
    assert "We look into it." in page
    answer = boss.post(there, {**form, "_publish": "1"}, follow=True)
    assert "It is published: on the status page within a minute." in answer.content.decode()
    assert Incident.objects.get().published_at is not None
    answer = boss.post(there, {**form, "updates-0-text": "It was nothing."})
    assert "What was published stands" in answer.content.decode()
    assert IncidentUpdate.objects.get().text == "We look into it."
    boss.post(there, {**form, "resolved_at_0": "2026-01-02", "resolved_at_1": "11:00"})
    assert AuditEvent.objects.get(action="incident.change").details["resolved_at"].startswith("2026-01-02 11:00")


def test_staff_take_somebody_out_of_the_mails_and_the_log_does_not_say_whom(boss: Browser) -> None:
    row = Subscriber.objects.create(email="sue@example.com", confirmed_at=timezone.now())
    boss.post(f"/admin/billing/subscriber/{row.pk}/delete/", {"post": "yes"})
    assert not Subscriber.objects.exists()
    assert "sue" not in str(list(AuditEvent.objects.filter(action="subscriber.remove").values()))


def test_the_boards_say_that_the_canary_is_missing_or_bad_and_nothing_while_it_is_well(boss: Browser) -> None:
    def board() -> str:
        return str(boss.get("/admin/boards/").content.decode() + boss.get("/admin/boards/providers/").content.decode())

    assert board().count("There is no canary: run manage.py canary setup") == 2
    well()
    assert "canary" not in board()
    CanaryMinute.objects.filter(at__gte=timezone.now() - 2 * MINUTE).update(good=False, why="queue_down", whose="ours")
    assert "The canary failed" in board()
    CanaryMinute.objects.filter(at__gte=timezone.now() - 30 * MINUTE).delete()
    assert "The canary has been missing since" in board()
