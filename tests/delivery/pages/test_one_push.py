"""The pages of one push and of a post's pushes."""

import re
from html import unescape

import pytest
from pytest_django import Settings

from delivery.insight import pushes
from delivery.models import Delivery
from delivery.outcomes import judge
from delivery.providers import table
from tenants.models import PushApp, Role
from tests.browsing import Browser, Tenant, member, staff, tenant
from tests.delivery.logged_pushes import ACK, APPLE, DEVICE, POST, TRACE, acknowledge, attempt, log

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
PLACE = f"/c/acme/delivery/{TRACE}/"
OF_POST = f"/c/acme/delivery/posts/{POST}/"
BAD_TOPIC = table.verdict_of("apns_bad_topic")
GONE = table.verdict_of("apns_unregistered")


@pytest.fixture
def acme() -> Tenant:
    return tenant("Acme")


@pytest.fixture
def ben(acme: Tenant) -> Browser:
    """A viewer's browser."""
    return Browser().enter(member("ben", acme.customer, Role.VIEWER))


def text_of(browser: Browser, address: str) -> str:
    """What a page says, without its tags."""
    answer = browser.get(address)
    assert answer.status_code == 200
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode().partition("<main")[2])).split())


def test_a_push_that_arrived_is_said_to_be_delivered_with_each_step(acme: Tenant, ben: Browser) -> None:
    at = log(acme, attempts=[attempt(200)])
    acknowledge(acme, at + 1.2)
    text = text_of(ben, PLACE)
    assert "Delivered: the phone acknowledged it 1.2 s after it came in." in text
    assert "Came in From chat.acme.example, with the key hk_Acme0000_..., 700 bytes" in text
    assert f"{APPLE} took it after 30 ms: 200 +40 ms" in text
    for value in (TRACE, ACK, POST, DEVICE):
        assert value in text
    assert "Forgotten on" in text


def test_a_push_without_a_receipt_is_handed_off_and_says_why_none_may_have_come(acme: Tenant, ben: Browser) -> None:
    log(acme, attempts=[attempt(200)])
    text = text_of(ben, PLACE)
    assert "Handed off: Apple took it 41 ms after it came in. No receipt from the phone has come." in text
    assert "notifications are off for the app" in text
    assert "Delivered" not in text


def test_a_refused_push_says_why_whose_it_is_and_what_to_do(acme: Tenant, ben: Browser) -> None:
    assert BAD_TOPIC is not None
    log(acme, verdict=BAD_TOPIC, attempts=[attempt(400, "BadTopic")])
    text = text_of(ben, PLACE)
    assert "Not handed off: Apple refused the app's topic." in text
    assert "Enter the bundle id of the mobile app, exactly as in Apple's developer account." in text
    assert "Your set-up; it is not counted in the service level" in text
    assert f"{APPLE} refused it after 30 ms: 400 BadTopic" in text
    assert '/codes/apns_bad_topic/"' in ben.get(PLACE).content.decode()


def test_a_push_whose_key_was_refused_with_everybodys_says_that_nothing_is_to_be_done(
    acme: Tenant, ben: Browser
) -> None:
    refused = table.verdict_of("apns_invalid_provider_token")
    assert refused is not None
    log(acme, verdict=judge.by_provider(refused, "Apple"), attempts=[attempt(403, "InvalidProviderToken")])
    text = text_of(ben, PLACE)
    assert (
        "Nothing to do about the key, for Apple refuses those of many customers at once; it passes by itself." in text
    )
    assert "Apple; it is not counted in the service level" in text
    assert "check that key id" not in text.casefold()


def test_a_push_that_was_turned_away_without_a_key_and_a_device_is_shown(acme: Tenant, ben: Browser) -> None:
    log(acme, verdict=judge.refusal("missing_device_id"), device="", key=False, ack_id="", post_id="", count=40)
    text = text_of(ben, PLACE)
    assert "without a key" in text
    assert "Turned away: the push has no device_id" in text
    assert "40 pushes that were refused alike" in text


def test_the_day_on_which_it_is_forgotten_is_the_retentions(acme: Tenant, ben: Browser, settings: Settings) -> None:
    settings.RETENTION_DAYS = 45
    log(acme)
    row = Delivery.objects.get()
    assert (pushes.forgotten_on(row) - row.accepted_at.date()).days == 46
    assert "the log keeps pushes for 45 days" in text_of(ben, PLACE)


def test_its_server_and_own_app_are_led_to_and_the_operators_app_is_named(acme: Tenant, ben: Browser) -> None:
    own = PushApp.objects.create(customer=acme.customer, label="apple_rn", topic="x", family="apns", host="sandbox")
    shared = PushApp.objects.create(label="apple_rn", topic="x", family="apns", host="sandbox")
    log(acme, app=own.pk)
    log(acme, "0123456789ab-8", app=shared.pk)
    body = ben.get(PLACE).content.decode()
    assert f'href="/c/acme/servers/{acme.server.public_id}/"' in body
    assert f'href="/c/acme/apps/{own.pk}/"' in body
    assert "apple_rn, an app of the operator's" in text_of(ben, "/c/acme/delivery/0123456789ab-8/")


def test_another_customers_push_and_post_are_no_pages(acme: Tenant, ben: Browser) -> None:
    cosmos = tenant("Cosmos")
    log(cosmos)
    for address in (PLACE, OF_POST):
        assert ben.get(address).status_code == 404
        assert ben.get(address.replace("acme", "cosmos")).status_code == 404
        cleo = Browser().enter(member(f"cleo{len(address)}", cosmos.customer, Role.OWNER))
        assert cleo.get(address.replace("acme", "cosmos")).status_code == 200


def test_a_receipt_of_another_server_or_push_is_none_of_this_one(acme: Tenant, ben: Browser) -> None:
    cosmos = tenant("Cosmos")
    at = log(acme, attempts=[attempt(200)])
    acknowledge(cosmos, at + 1)
    acknowledge(acme, at + 2, trace="0123456789ab-9")
    assert "No receipt from the phone has come." in text_of(ben, PLACE)
    acknowledge(acme, at + 3, trace=TRACE)
    assert "acknowledged it 3.0 s after" in text_of(ben, PLACE)


def test_staff_who_look_on_see_it_too(acme: Tenant) -> None:
    log(acme)
    assert Browser().enter(staff(), factor=True).get(PLACE).status_code == 200


@pytest.mark.parametrize(
    "trace", ["x", "0123456789AB-1", "0123456789ab-", "0123456789ab-1%00", "0123456789ab-" + "1" * 17, "' OR 1=1"]
)
def test_what_is_no_trace_is_no_page(ben: Browser, trace: str) -> None:
    assert ben.get(f"/c/acme/delivery/{trace}/").status_code == 404


@pytest.mark.parametrize("post_id", ["x", "%00", "p" * 5000, "<script>", "شركة", "{}"])
def test_what_is_no_post_is_no_page(ben: Browser, post_id: str) -> None:
    assert ben.get(f"/c/acme/delivery/posts/{post_id}/").status_code == 404


def test_a_posts_pushes_are_split_by_what_came_of_them(acme: Tenant, ben: Browser) -> None:
    assert BAD_TOPIC is not None
    assert GONE is not None
    for number in range(7):
        at = log(acme, f"0123456789ab-{number:x}", ack_id=f"ack-{number}")
        if number < 3:
            acknowledge(acme, at + 1, f"ack-{number}", trace=f"0123456789ab-{number:x}")
    log(acme, "0123456789ab-a", BAD_TOPIC, ack_id="ack-a")
    log(acme, "0123456789ab-b", GONE, ack_id="ack-b")
    log(acme, "0123456789ab-c", ack_id="ack-c", post_id="another")
    text = text_of(ben, f"{OF_POST}?by=post")
    assert "9 pushes: 7 handed off (3 of them delivered), 1 refused, 1 device gone." in text
    assert f"You searched for the post {POST}" in text
    assert "Apple refused the app's topic" in text
    assert "Handed off" in text
    only = ben.get(f"{OF_POST}?code=apns_bad_topic").content.decode()
    assert re.findall(r'href="/c/acme/delivery/([0-9a-f-]+)/"', only) == ["0123456789ab-a"]
    assert 'href="?code=apns_bad_topic">1<' in only
    assert "9 pushes: 7 handed off, 1 refused, 1 device gone." in text_of(ben, "/c/acme/delivery/0123456789ab-a/")


def test_the_list_of_a_big_post_is_paged_without_a_gap(acme: Tenant, ben: Browser) -> None:
    for number in range(120):
        log(acme, f"0123456789ab-{number:x}", age=3600 - number // 4, ack_id=f"ack-{number}")
    seen: list[str] = []
    address = OF_POST
    while address:
        body = ben.get(address).content.decode()
        seen += re.findall(r'href="/c/acme/delivery/([0-9a-f-]+)/"', body)
        older = re.search(r'rel="next" href="([^"]+)"', body)
        address = f"{OF_POST}{unescape(older[1])}" if older else ""
    assert len(seen) == len(set(seen)) == 120


@pytest.mark.parametrize("before", ["x", "1_", "nan_x", "inf_x", "-1e99_x", "9" * 400, "1_%27", "_"])
def test_nonsense_in_the_address_of_a_page_of_the_list_is_no_error(acme: Tenant, ben: Browser, before: str) -> None:
    log(acme)
    assert ben.get(f"{OF_POST}?before={before}&by={before}&code={before}").status_code == 200


def test_a_name_of_a_key_cannot_write_into_the_page(acme: Tenant, ben: Browser) -> None:
    acme.key.name = "<script>alert(1)</script>"
    acme.key.save()
    log(acme, type="<b>", sub_type="<i>", platform="<u>", server_id="<s>")
    body = ben.get(PLACE).content.decode()
    assert "<script>alert" not in body
    assert not re.search(r"<(b|i|u|s)>", body)
