"""The search: what it understands leads there, and a device id leaves no trace."""

import logging
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from delivery.log.rows import fingerprint
from delivery.models import Device
from delivery.outcomes import judge
from tenants.models import Role, Server, ServerId
from tests.browsing import Browser, Tenant, member, staff, tenant
from tests.delivery.logged_pushes import ACK, POST, TRACE, log

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
HERE = "/c/acme/search/"
TOKEN = "5a" * 32
PUSH = f"/c/acme/delivery/{TRACE}/"


@pytest.fixture
def acme() -> Tenant:
    return tenant("Acme")


@pytest.fixture
def ben(acme: Tenant) -> Browser:
    """A viewer's browser."""
    return Browser().enter(member("ben", acme.customer, Role.VIEWER))


def led(browser: Browser, text: str) -> str:
    """Where what was typed leads to."""
    answer = browser.post(HERE, {"q": text})
    assert answer.status_code == 302
    return str(answer["Location"])


def text_of(browser: Browser, address: str) -> str:
    """What a page says, without its tags."""
    answer = browser.get(address)
    assert answer.status_code == 200
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode().partition("<main")[2])).split())


@pytest.mark.parametrize(
    ("text", "by", "said"),
    [
        (TRACE, "trace", f"the trace id {TRACE}"),
        (ACK, "ack", f"the ack id {ACK}"),
        (f"no_app no mobile app: add one (trace {TRACE})", "line", "a line of a log that names this push"),
        (f'{{"msg":"x","ackId":"{ACK}","postId":"{POST}"}}', "line", "a line of a log that names this push"),
    ],
)
def test_what_names_one_push_leads_to_it_and_says_what_was_understood(
    acme: Tenant, ben: Browser, text: str, by: str, said: str
) -> None:
    log(acme)
    there = led(ben, text)
    assert there == f"{PUSH}?by={by}"
    assert f"You searched for {said}." in text_of(ben, there)


@pytest.mark.parametrize("text", [POST, f"https://chat.acme.example/team/pl/{POST}", f"level=error postId={POST}"])
def test_a_post_its_permalink_and_a_line_with_it_lead_to_its_pushes(acme: Tenant, ben: Browser, text: str) -> None:
    log(acme)
    log(acme, "0123456789ab-8", judge.refusal("no_app"), ack_id="other")
    there = led(ben, text)
    assert there.startswith(f"/c/acme/delivery/posts/{POST}/?by=")
    assert "2 pushes: 1 handed off, 1 refused." in text_of(ben, there)


def test_a_line_whose_ack_is_unknown_is_found_by_its_post(acme: Tenant, ben: Browser) -> None:
    log(acme)
    line = f'{{"ackId":"{ACK[::-1]}","postId":"{POST}"}}'
    assert led(ben, line) == f"/c/acme/delivery/posts/{POST}/?by=line"


@pytest.mark.parametrize("typed", [TOKEN, f"apple_rn-v2:{TOKEN}", f'{{"deviceId":"apple_rn-v2:{TOKEN}"}}'])
def test_a_device_id_leads_to_its_pushes_and_stands_in_no_address_session_or_log(
    acme: Tenant, ben: Browser, typed: str, caplog: pytest.LogCaptureFixture
) -> None:
    device = fingerprint(TOKEN, settings.HASH_KEY)
    log(acme, device=device)
    log(acme, "0123456789ab-8", device=device, ack_id="other")
    with caplog.at_level(logging.DEBUG):
        there = led(ben, typed)
    assert device in there
    assert "5a5a" not in there + caplog.text + str(dict(ben.session.items()))
    again: Any = ben.get(there)
    assert again.status_code in (200, 404)  # the page of a device may be another's
    if again.status_code == 200:
        assert TRACE in again.content.decode()
        assert TOKEN not in again.content.decode()


def test_a_device_of_which_the_log_has_nothing_any_more_is_found(acme: Tenant, ben: Browser) -> None:
    at, device = timezone.now() - timedelta(days=60), fingerprint(TOKEN, settings.HASH_KEY)
    Device.objects.create(
        pk=1, customer=acme.customer, server_id=acme.server.pk, app_id=0, family="apns", device=device,
        first_at=at, last_at=at, removed_at=at, removed_code="apns_unregistered", failed_code="",
    )  # fmt: skip
    there = led(ben, f"apple_rn-v2:{TOKEN}")
    assert there == f"/c/acme/delivery/devices/{device}/"
    assert "Removed on" in text_of(ben, there)


def test_an_unknown_device_id_stands_in_no_address_either(ben: Browser) -> None:
    there = led(ben, f"apple_rn-v2:{TOKEN}")
    assert there == f"{HERE}?device={fingerprint(TOKEN, settings.HASH_KEY)}"
    assert "nothing was found" in text_of(ben, there)


def test_a_device_id_of_a_form_that_nobody_knows_stands_in_no_address(ben: Browser) -> None:
    for text in ("device-token-of-1999", "device token (1999)"):
        assert led(ben, text) == f"{HERE}?nothing=unclear"


def test_servers_keys_and_codes_are_found(acme: Tenant, ben: Browser) -> None:
    server = f"/c/acme/servers/{acme.server.public_id}/"
    ServerId.objects.create(server=acme.server, mattermost_id="serverid1ybndrfg8ejkmcpqxo")
    for text in ("chat.acme", "https://chat.acme.example/", "hk_Acme0000_" + "x" * 32, "serverid1ybndrfg8ejkmcpqxo"):
        assert led(ben, text) == server, text
    Server.objects.create(customer=acme.customer, name="chat.acme.other")
    assert "2 are called like it" in text_of(ben, led(ben, "chat.acme"))
    assert "Apple refused the app's topic" in text_of(ben, led(ben, "BadTopic"))
    assert "/codes/apns_bad_topic/" in ben.get(led(ben, "apns_bad_topic")).content.decode()


def test_an_ack_id_that_came_twice_leads_to_both_pushes(acme: Tenant, ben: Browser) -> None:
    log(acme)
    log(acme, "0123456789ab-8")
    there = led(ben, ACK)
    assert there == f"{HERE}?ack={ACK}"
    text = text_of(ben, there)
    assert f"You searched for the ack id {ACK}: its pushes" in text
    assert TRACE in text
    assert "0123456789ab-8" in text


def test_what_is_not_found_is_named_with_the_reasons(acme: Tenant, ben: Browser) -> None:
    log(acme)
    other = "ybndrfg8ejkmcpqxot1uwisz3y"
    text = text_of(ben, led(ben, f"https://chat.acme.example/x/pl/{other}"))
    assert f"You searched for the post {other}: nothing was found." in text
    assert f"It is older than {settings.RETENTION_DAYS} days" in text
    assert "It is of another customer" in text
    assert "the server did not send it. The last push of Acme came" in text


def test_nothing_of_another_customer_is_found(acme: Tenant, ben: Browser) -> None:
    cosmos = tenant("Cosmos")
    log(cosmos, device=fingerprint(TOKEN, settings.HASH_KEY))
    for text in (TRACE, ACK, POST, TOKEN, f"(trace {TRACE})", "hk_Cosmos00_" + "x" * 32):
        assert led(ben, text).startswith(f"{HERE}?"), text
        assert "nothing was found" in text_of(ben, led(ben, text))
    assert led(ben, "chat.cosmos.example") == f"{HERE}?nothing=unclear"
    assert ben.post("/c/cosmos/search/", {"q": TRACE}).status_code == 404


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Nothing was typed."),
        ("x" * 5000, "Nothing here has this name"),
        ("a b c " * 900, "Nothing here has this name"),
        ("\0", "Nothing here has this name"),
        (f"{TRACE}\0", "Nothing here has this name"),
        ("x" * 20_001, "More was typed than is read"),
        ("' OR 1=1 --", "Nothing here has this name"),
        ("<script>alert(1)</script>", "Nothing here has this name"),
        ("\ud7ff\uffff\u202e", "Nothing here has this name"),
        ("%", "Nothing here has this name"),
        ("http://[chat", "Nothing here has this name"),
    ],
)
def test_nonsense_has_a_clear_answer(ben: Browser, text: str, said: str) -> None:
    answer = text_of(ben, led(ben, text))
    assert said in answer
    assert "What can be searched for" in answer


@pytest.mark.parametrize(
    "query", ["trace=%00", "ack=" + "x" * 9000, "post=<b>", "device=zz", "id=x", "code=x", "nothing=x", "server=//[x"]
)
def test_nonsense_in_the_address_of_the_results_is_no_error(ben: Browser, query: str) -> None:
    answer = ben.get(f"{HERE}?{query}")
    assert answer.status_code == (404 if "%00" in query else 200)
    assert b"<b>" not in answer.content


def test_staff_who_look_on_may_search_for_it_changes_nothing(acme: Tenant) -> None:
    log(acme)
    assert led(Browser().enter(staff(), factor=True), TRACE) == f"{PUSH}?by=trace"


def test_the_field_stands_on_each_of_a_customers_pages_and_nowhere_else(ben: Browser) -> None:
    assert f'action="{HERE}"' in ben.get("/c/acme/servers/").content.decode()
    for address in ("/account/customers/", "/codes/", "/"):
        assert 'role="search"' not in ben.get(address).content.decode()


def test_what_mattermosts_own_proxy_says_of_every_refusal_is_explained(acme: Tenant, ben: Browser) -> None:
    there = led(ben, f'{{"error":"unknown send response error","ackId":"{ACK}"}}')
    assert there == f"{HERE}?nothing=former"
    said = text_of(ben, there)
    assert "whatever the reason. This service gives the reason in its place." in said
    assert "See which pushes failed, and why" in said
    log(acme)
    assert led(ben, f'{{"error":"unknown send response error","ackId":"{ACK}"}}') == f"{PUSH}?by=line"
