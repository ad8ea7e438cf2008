"""The delivery page of a customer: the sentence, what it leads to, its empty states, and how it is asked again."""

import re
import time
from datetime import datetime, timedelta
from html import unescape

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from delivery.log.writing import WRITTEN_AT
from delivery.outcomes import judge
from delivery.pages import figures
from tenants.models import AuditEvent, Server, ServerKey
from tests.browsing import Browser
from tests.delivery.pages.busy import ANDROID, GONE, IPHONE, KEY_REFUSED, Pushes
from tests.delivery.rollups.pushes import SENT
from tests.tenants.conftest import Cast

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
PAGE = "/c/acme/delivery/"
# Of a page, whatever it shows; and of its session and customer.
QUERIES_MOST = 36


def html(browser: Browser, address: str = PAGE) -> str:
    """A page."""
    return browser.get(address).content.decode()


def text(browser: Browser, address: str = PAGE, **headers: str) -> str:
    """What the main part of a page says, without its tags."""
    page = browser.get(address, headers=headers).content.decode().partition("<main")[2].partition("</main>")[0]
    page = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", re.sub("</d[td]>", " ", page))))


def links(browser: Browser, label: str) -> list[str]:
    """Where the links of this text lead."""
    return [unescape(found) for found in re.findall(rf'href="([^"]*)"[^>]*>{re.escape(label)}<', html(browser))]


@pytest.fixture
def made(cast: Cast) -> Pushes:
    """Nine pushes to iPhones and one to an Android in the last hour: two were refused, one is gone, two acked."""
    made = Pushes(cast.acme)
    for minutes in range(10, 50, 10):
        made.write(minutes, SENT, **IPHONE, ended=0.2)
    for minutes in (5, 6):
        made.write(minutes, SENT, **IPHONE, acked=1.5)
    for minutes in (3, 12):
        made.write(minutes, KEY_REFUSED, **IPHONE)
    made.write(20, GONE, **IPHONE)
    made.write(30, SENT, **ANDROID, ended=0.4)
    made.count()
    return made


def test_the_page_begins_with_what_failed_whose_it_is_since_when_and_what_to_do(cast: Cast, made: Pushes) -> None:
    since = f"{made.now - timedelta(minutes=12):%H:%M}"
    said = text(cast.ben)
    assert (
        "70 % of 10 pushes were handed off in the last 24 hours; 2 failed because Apple refused the signing token made"
        " with the app's key (apns_invalid_provider_token) since "
    ) in said
    # In the first minutes of a day yesterday's are told with it.
    assert re.search(rf"since (\d+ \w+, )?{since}; 1 was for a device that is gone\. It is yours to mend: check", said)
    assert "Not well:" in said


def test_what_changed_shortly_before_it_began_to_fail_is_said(cast: Cast, made: Pushes) -> None:
    nothing = "Nothing that is seen here changed shortly before that began: no key, credential, app or network"
    assert nothing in text(cast.ben)
    at = made.now - timedelta(minutes=20)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO delivery_platform_sighting (customer_id, server_id, platform, first_at) "
            "VALUES (%s, %s, 'apple_rn-v3', %s)",
            [cast.acme.customer.pk, cast.acme.server.pk, at],
        )
    said = "Shortly before that began, this changed: chat.acme.example first sent for apple_rn-v3 ("
    assert said in text(cast.ben)
    assert nothing not in text(cast.ben)
    assert said not in text(cast.ben, f"{PAGE}?outcome=sent")


def test_every_number_leads_to_the_pushes_that_it_counts(cast: Cast, made: Pushes) -> None:
    pushes = "/c/acme/delivery/pushes/?range=24h"
    assert links(cast.ben, "2 failed") == [f"{pushes}&outcome=failures"] * 2
    assert links(cast.ben, "70 % of 10 pushes") == [pushes]
    assert links(cast.ben, "10")[:2] == [pushes] * 2
    assert f"{pushes}&outcome=sent" in links(cast.ben, "7")
    assert f"{pushes}&acked=yes" in links(cast.ben, "2")
    assert links(cast.ben, "5 without a receipt") == [f"{pushes}&outcome=sent&acked=no"]
    assert links(cast.ben, "1 to devices that are gone") == [f"{pushes}&outcome=gone"]
    code = "apns_invalid_provider_token&attribution=customer&outcome=failures"
    assert f"{pushes}&code={code}" in links(cast.ben, "2")
    listed = cast.ben.get(f"{pushes}&code={code}").content.decode()
    assert listed.count("data-key=") == 2


def test_of_failures_alone_no_time_of_a_hand_off_is_told(cast: Cast, made: Pushes) -> None:
    assert re.search(r"Hand-off, p95 \d+ ms", text(cast.ben, f"{PAGE}?outcome=sent"))
    assert "Hand-off, p95 – " in text(cast.ben, f"{PAGE}?outcome=failures")


def test_failures_that_were_chosen_are_not_held_against_what_was_handed_off(cast: Cast, made: Pushes) -> None:
    for query in ("outcome=failures", "code=apns_invalid_provider_token"):
        said = text(cast.ben, f"{PAGE}?{query}")
        assert "2 pushes failed in the last 24 hours because Apple refused the signing token" in said
        assert "None of" not in said


def test_what_is_counted_by_the_hour_is_not_told_to_the_minute(cast: Cast, made: Pushes) -> None:
    made.write(2, GONE, **IPHONE)
    made.write(3, judge.refusal("no_app"), **ANDROID)
    made.count()
    said = text(cast.ben, f"{PAGE}?range=30d")
    assert re.search(r"no_app since the hour of (\d+ \w+, )?\d\d:00", said)
    assert "the hour of" not in text(cast.ben, f"{PAGE}?range=24h")


def test_a_row_of_a_split_leads_to_the_same_page_of_it_alone(cast: Cast, made: Pushes) -> None:
    address = f"?range=24h&server={cast.acme.server.public_id}"
    assert f'<a href="{address.replace("&", "&amp;")}"><bdi title="{cast.acme.server.name}">' in html(cast.ben)
    said = text(cast.ben, f"{PAGE}?family=fcm")
    assert "The only push was handed off in the last 24 hours." in said
    # Those to iPhones still fail.
    assert "All well:" not in said
    assert "Platform: Google" in said


def test_a_figure_is_compared_with_the_time_before(cast: Cast, made: Pushes) -> None:
    made.write(90, SENT, **IPHONE)
    made.count()
    said = text(cast.ben, f"{PAGE}?range=1h")
    assert "Pushes 10 +900.0 %" in said
    assert "Handed off 70 % −30.00 points" in said
    assert "Failed 2 +2" in said
    assert "Changes are against the hour before." in said


def test_devices_are_counted_where_the_log_is_small_and_looked_up_where_it_is_not(
    cast: Cast, made: Pushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "1 of 1" in text(cast.ben)
    monkeypatch.setattr(figures, "LOG_ROWS_MOST", 5)
    said = text(cast.ben)
    assert "1 of 1" not in said
    assert "See pushes" in said


def test_a_failure_of_a_long_range_is_told_to_the_minute(cast: Cast, made: Pushes) -> None:
    said = text(cast.ben, f"{PAGE}?range=7d")
    assert f"{made.now - timedelta(minutes=12):%H:%M}; 1 was for a device" in said


def test_the_only_failures_that_are_left_by_a_filter_are_still_no_good_news(cast: Cast, made: Pushes) -> None:
    said = text(cast.ben, f"{PAGE}?outcome=refused")
    assert "2 pushes failed in the last 24 hours because Apple refused" in said


def test_without_a_push_ever_it_says_what_will_be_here(cast: Cast) -> None:
    assert "No push has come yet" in text(cast.ada)
    assert "Send test push" in text(cast.ada)
    assert "Send test push" not in text(cast.ben)


def test_without_a_push_in_the_range_it_leads_to_the_latest(cast: Cast) -> None:
    made = Pushes(cast.acme)
    made.write(3 * 24 * 60, SENT)
    made.count()
    browser = cast.ben
    assert "No push came in the last 24 hours." in text(browser)
    (there,) = links(browser, "Show that hour")
    assert "The only push was handed off from" in text(browser, PAGE + there)
    assert "No such push was counted" in text(browser, f"{PAGE}?type=test")
    assert links(browser, "Show all pushes") == []


def test_what_cannot_be_understood_is_said_and_the_page_shown(cast: Cast, made: Pushes) -> None:
    said = text(cast.ben, f"{PAGE}?range=5y&server=cosmos&acked=yes&family=fcm")
    for notice in ("The ranges are 1h", "There is no such server", "not told apart by their receipts", "The only push"):
        assert notice in said
    assert cast.ben.get(f"{PAGE}?code=a%00b").status_code == 404


def test_days_are_those_of_the_viewers_zone(cast: Cast, made: Pushes) -> None:
    cast.ben.cookies["tz"] = "Pacific/Auckland"
    page = html(cast.ben, f"{PAGE}?range=90d")
    assert "what became of them, by day" in page
    pushes, _, latencies = page.partition('id="chart-handoff"')
    assert "by day (UTC)" in latencies  # whose percentiles need all of a day's latencies, which are kept by those
    begins = {datetime.fromisoformat(found) for found in re.findall(r'<th scope="row">.*?datetime="([^"]+)"', pushes)}
    assert len(begins) > 80
    assert {at.astimezone(timezone.zoneinfo.ZoneInfo("Pacific/Auckland")).hour for at in begins} == {0}  # type: ignore[attr-defined]


def test_a_part_is_asked_again_and_told_that_nothing_is_new(cast: Cast, made: Pushes) -> None:
    page = cast.ben.get(PAGE).content.decode()
    (tag,) = re.findall(r'hx-headers=\'\{"If-None-Match": "\\"(\w+)\\""\}\'', page)
    again = {"HX-Request": "true", "If-None-Match": f'"{tag}"'}
    answer = cast.ben.get(f"{PAGE}?range=24h", headers=again)
    # A minute later there is another minute in it.
    assert (answer.status_code, answer.content) == (304, b"") or timezone.now().minute != made.now.minute
    made.write(0, SENT)
    made.count()
    answer = cast.ben.get(f"{PAGE}?range=24h", headers=again)
    assert answer.status_code == 200
    assert answer["ETag"] != f'"{tag}"'
    assert answer.content.decode().startswith("\n") is False
    assert "<html" not in answer.content.decode()


@pytest.mark.parametrize(("name", "polls"), [("1h", True), ("24h", True), ("7d", False), ("90d", False)])
def test_ranges_of_a_day_at_most_ask_by_themselves(cast: Cast, made: Pushes, name: str, polls: bool) -> None:
    assert ("every 5s" in cast.ben.get(f"{PAGE}?range={name}").content.decode()) is polls


def test_it_says_since_when_its_figures_stand_where_the_log_is_late(
    cast: Cast, made: Pushes, valkey: redis.Redis, settings: Settings
) -> None:
    valkey.set(WRITTEN_AT, int(time.time()))
    assert "stand as of" not in text(cast.ben)
    valkey.set(WRITTEN_AT, int(time.time()) - 600)
    assert "These figures stand as of " in text(cast.ben)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert "It cannot be told at the moment how far these figures reach" in text(cast.ben)


def test_it_costs_as_many_queries_for_many_servers_as_for_one(cast: Cast, made: Pushes) -> None:
    with CaptureQueriesContext(connection) as few:
        cast.ben.get(f"{PAGE}?range=7d")
    for number in range(20):
        server = Server.objects.create(customer=cast.acme.customer, name=f"s{number}")
        made.write(number, judge.refusal("no_app"), server=server.pk, platform=f"other{number}")
    made.count()
    with CaptureQueriesContext(connection) as many:
        cast.ben.get(f"{PAGE}?range=7d")
    assert len(many) == len(few) <= QUERIES_MOST


def test_what_else_is_wrong_is_told_besides_and_what_the_sentence_tells_is_not_told_twice(
    cast: Cast, made: Pushes
) -> None:
    ServerKey.objects.filter(server=cast.acme.server).update(revoked_at=made.now)
    for address, twice in ((PAGE, False), (f"{PAGE}?family=fcm", True)):
        page = html(cast.ben, address)
        told = page.partition('aria-label="What needs doing"')[2].partition("</ul>")[0]
        assert cast.acme.server.name in told
        assert ("Apple refused the signing token" in unescape(told)) is twice


def test_names_from_right_to_left_are_set_apart(cast: Cast, made: Pushes) -> None:
    name = "خادم الدردشة"
    Server.objects.filter(pk=cast.acme.server.pk).update(name=name)
    assert f'<bdi title="{name}">{name}</bdi>' in cast.ben.get(PAGE).content.decode()


def test_a_range_of_before_the_log_says_that_its_pushes_are_listed_nowhere(cast: Cast, made: Pushes) -> None:
    assert "listed nowhere" not in text(cast.ben)
    assert "older ones are counted here, and listed nowhere" in text(cast.ben, f"{PAGE}?range=90d")


def test_a_look_of_the_staff_is_noted(cast: Cast, made: Pushes) -> None:
    assert "2 failed because Apple refused" in text(cast.staff)
    assert AuditEvent.objects.filter(action="staff.look", customer_id=cast.acme.customer.pk).count() == 1


def test_another_customers_pushes_are_not_in_it(cast: Cast, made: Pushes) -> None:
    other = Pushes(cast.cosmos, made.now)
    other.written = 500
    other.write(5, SENT)
    other.count()
    assert "of 10 pushes" in text(cast.ben)
