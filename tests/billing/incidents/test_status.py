"""The status: the present in a sentence, ninety days of minutes, an hour without canary with and without others."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
import redis
from pytest_django import Settings

from billing.incidents import publishing, rendering, status
from billing.models import PAGES, CanaryMinute, Incident, IncidentUpdate, MaintenanceWindow, StatusDay
from delivery.rollups.rebuilding import rebuild
from tests.billing.incidents.canary_world import MINUTE, NOW, beats, since
from tests.delivery.rollups import pushes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
HOUR = timedelta(hours=1)
NAMES = ("accepting", "apns", "fcm", PAGES)
ATOM = "{http://www.w3.org/2005/Atom}"


def words(now: datetime = NOW) -> str:
    return status.read(now).sentence


def bad_minutes(now: datetime = NOW) -> dict[str, int]:
    """Of today, by component."""
    return {each.key: each.days[-1].minutes.bad for each in status.read(now).components}


def incident(**more: object) -> Incident:
    values = {"title": "Pushes fail", "components": ["apns"], "impact": "down", "started_at": NOW - HOUR}
    row = Incident.objects.create(**{**values, "published_at": NOW - HOUR, **more})
    IncidentUpdate.objects.create(incident=row, at=NOW - HOUR, text="We look <b>into</b> it.", published_at=NOW - HOUR)
    return row


def window(**more: object) -> MaintenanceWindow:
    values = {
        "title": "New disks",
        "text": "Pages are away.",
        "components": [PAGES],
        "starts_at": NOW - 5 * MINUTE,
        "ends_at": NOW + HOUR,
    }
    return MaintenanceWindow.objects.create(**{**values, "published_at": NOW - 4 * 24 * HOUR, **more})


def test_a_service_that_nobody_has_looked_at_yet_is_not_said_to_work() -> None:
    assert words() == "Nobody has looked yet."
    assert {each.uptime for each in status.read(NOW).components} == {None}


def test_all_is_well() -> None:
    beats(since(NOW - HOUR, 60))
    assert words() == "Everything works."
    assert {each.uptime for each in status.read(NOW).components} == {100.0}


def test_what_fails_is_named_with_when_it_began() -> None:
    beats(since(NOW - HOUR, 50))
    beats(since(NOW - 10 * MINUTE, 10), good=False, whose="provider", why="apns_shutdown")
    CanaryMinute.objects.filter(at__gte=NOW - 10 * MINUTE).exclude(family="apns").update(good=True, whose="", why="")
    assert words() == "Pushes to Apple fail since 14:20 UTC."
    found = {each.key: each for each in status.read(NOW).components}
    assert {key: each.state for key, each in found.items()} == {**dict.fromkeys(NAMES, "good"), "apns": "bad"}


def test_one_bad_minute_is_a_disturbance_and_no_outage() -> None:
    beats(since(NOW - HOUR, 57))
    beats([NOW - 3 * MINUTE], good=False)
    beats(since(NOW - 2 * MINUTE, 2))
    assert words() == "Accepting pushes, pushes to Apple, pushes to Google and pages are disturbed since 14:27 UTC."


def test_a_canary_that_is_on_its_way_is_not_missing_yet_and_one_minute_later_it_is() -> None:
    beats(since(NOW - HOUR, 59))
    assert words(NOW + timedelta(seconds=20)) == "Everything works."
    assert "are disturbed since 14:29 UTC" in words(NOW + MINUTE)


def test_what_fails_and_what_is_disturbed_are_told_together() -> None:
    beats(since(NOW - HOUR, 59))
    beats([NOW - MINUTE], good=False)
    incident()
    first, _, second = words().partition("; ")
    assert first == "Pushes to Apple fail since 13:30 UTC"
    assert second == "accepting pushes, pushes to Google and pages are disturbed since 14:29 UTC."


def test_a_dead_timetable_is_said_and_since_when() -> None:
    beats(since(NOW - 2 * HOUR, 60))
    assert words() == "How the service is has not been known since 13:29 UTC."
    assert {each.state for each in status.read(NOW).components} == {"unknown"}


def test_an_hour_without_canary_and_without_other_pushes_is_an_hour_of_outage() -> None:
    beats([*since(NOW - 2 * HOUR, 30), *since(NOW - 30 * MINUTE, 30)])
    assert bad_minutes() == dict.fromkeys(NAMES, 60)


def test_an_hour_without_canary_is_none_where_others_pushed() -> None:
    start = pushes.HOUR + 30 * MINUTE
    now = pushes.HOUR + 2 * HOUR + 30 * MINUTE
    beats([*since(start, 30), *since(start + 90 * MINUTE, 30)])
    for minute in range(60):
        pushes.write(f"{minute:012x}-1", 3600 + 60 * minute + 1, pushes.SENT)
    rebuild(pushes.HOUR, pushes.HOUR + 3 * HOUR)
    assert bad_minutes(now) == dict.fromkeys(NAMES, 0)


def test_a_day_that_is_over_is_judged_once_and_the_same_again() -> None:
    start = NOW.replace(hour=0, minute=0) - timedelta(days=2)
    beats(since(start, 1440))
    beats(since(start + timedelta(days=1), 100))
    assert status.close_days(NOW) == 2
    first = list(StatusDay.objects.values_list("day", "component", "good", "bad", "unknown"))
    assert (start.date(), "apns", 1440, 0, 0) in first
    assert (start.date() + timedelta(days=1), "apns", 100, 1340, 0) in first
    CanaryMinute.objects.all().delete()
    assert status.close_days(NOW) == 0
    beats([start])
    assert status.close_days(NOW) == 0
    assert list(StatusDay.objects.values_list("day", "component", "good", "bad", "unknown")) == first


def test_a_timetable_that_was_dead_for_forty_days_catches_up() -> None:
    start = NOW.replace(hour=0, minute=0) - timedelta(days=40)
    beats(since(start, 60))
    assert status.close_days(NOW) == 40
    found = status.read(NOW)
    assert [bar.minutes.bad for bar in found.components[0].days[-40:-1]] == [1440] * 39
    assert found.components[0].days[0].minutes == (0, 0, 1440)


def test_uptime_is_cut_and_never_rounded_up() -> None:
    assert status.uptime(status.Tally(99_999, 1, 5)) == 99.99
    assert status.uptime(status.Tally(10, 0, 0)) == 100.0
    assert status.uptime(status.Tally(0, 0, 9)) is None


def test_an_incident_and_maintenance_are_told_and_drafts_are_not() -> None:
    beats(since(NOW - HOUR, 60))
    incident(title="A draft", published_at=None)
    window(title="A draft, too", published_at=None)
    assert words() == "Everything works."
    assert "There was no incident in the last 90 days." in rendering.html(status.read(NOW))
    incident()
    window()
    found = status.read(NOW)
    assert found.sentence == "Pushes to Apple fail since 13:30 UTC."
    assert [each.title for each in found.open] == ["Pushes fail"]
    assert [each.title for each in found.coming] == ["New disks"]
    page = rendering.html(found)
    assert "We look &lt;b&gt;into&lt;/b&gt; it." in page
    assert "A draft" not in page
    assert "There was no other incident in the last 90 days." in page


def test_what_fails_while_it_is_maintained_is_under_maintenance() -> None:
    beats(since(NOW - HOUR, 55))
    beats(since(NOW - 5 * MINUTE, 5), good=False)
    CanaryMinute.objects.exclude(family=PAGES).update(good=True, whose="", why="")
    window()
    assert words() == "Pages are under maintenance since 14:25 UTC."


def test_the_page_stands_alone_and_its_policy_allows_its_own_style_and_script() -> None:
    beats(since(NOW - HOUR, 60))
    page = rendering.html(status.read(NOW))
    assert "src=" not in page
    assert 'rel="stylesheet"' not in page
    assert rendering.policy().count("'sha256-") == 2
    assert len(page.encode()) < 100_000
    assert page.count("<rect") == 90 * len(NAMES)


def test_the_json_says_the_same(settings: Settings) -> None:
    beats(since(NOW - HOUR, 60))
    row = incident(resolved_at=NOW - 30 * MINUTE)
    told = json.loads(rendering.as_json(status.read(NOW)))
    assert (told["state"], told["sentence"], told["as_of"]) == ("good", "Everything works.", "2026-11-29T14:29:00Z")
    assert [each["key"] for each in told["components"]] == list(NAMES)
    assert told["components"][0]["days"][-1] == {"day": "2026-11-29", "good": 59, "bad": 0, "unknown": 810}
    assert told["incidents"][0] == {
        "id": row.pk,
        "title": "Pushes fail",
        "components": ["apns"],
        "impact": "down",
        "started_at": "2026-11-29T13:30:00Z",
        "resolved_at": "2026-11-29T14:00:00Z",
        "updates": [{"at": "2026-11-29T13:30:00Z", "text": "We look <b>into</b> it."}],
    }


def test_the_feed_is_well_formed_whatever_was_pasted(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://push.example.com"
    row = incident(title='"Quotes" & <tags> \x0b\x00'.replace("\x00", ""))
    window()
    feed = ElementTree.fromstring(rendering.atom(status.read(NOW)))  # noqa: S314  our own
    entries = feed.findall(f"{ATOM}entry")
    assert [each.findtext(f"{ATOM}title") for each in entries] == [
        'Incident: "Quotes" & <tags> ',
        "Maintenance: New disks",
    ]
    assert entries[0].findtext(f"{ATOM}id") == f"https://push.example.com/status/#incident-{row.pk}"


def test_the_files_are_whole_and_renewed_in_place(settings: Settings, tmp_path: Path) -> None:
    settings.STATUS_DIR = str(tmp_path / "below" / "status")
    beats(since(NOW - HOUR, 60))
    written = publishing.publish(NOW)
    assert [path.name for path in written] == ["index.html", "status.json", "feed.atom"]
    assert {path.stat().st_mode & 0o777 for path in written} == {0o644}
    before = written[0].stat().st_ino
    publishing.publish(NOW + MINUTE)
    assert written[0].stat().st_ino != before
    assert sorted(path.name for path in written[0].parent.iterdir()) == ["feed.atom", "index.html", "status.json"]


def test_a_folder_that_cannot_be_written_to_leaves_the_pages_their_copy(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    settings.STATUS_DIR = str(tmp_path / "file" / "status")
    beats(since(NOW - HOUR, 60))
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        publishing.publish(NOW)
    found = publishing.kept()
    assert found is not None
    assert found.sentence == "Everything works."


def test_whoever_finds_no_copy_makes_it(valkey: redis.Redis) -> None:
    assert publishing.kept() is None
    assert publishing.current(datetime.now(UTC)).sentence == "Nobody has looked yet."
    assert publishing.kept() is not None
