"""The pages for test pushes: what can be asked for, and what is shown of their steps."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from billing import customers
from delivery.ingest import trial_push
from delivery.protocol import mattermost_id
from tenants import services
from tenants.directory.live import DIRECTORY
from tenants.models import Customer, PushApp, Server
from tests.browsing import Browser, browser
from tests.log_as_text import LOG_COLUMNS

pytestmark = pytest.mark.django_db
PLACE = "/c/acme/test/"


@pytest.fixture
def chat(customer: Customer) -> Server:
    """Acme's server with a key that this process knows."""
    server = services.server_add(customer=customer, name="chat.acme.example").row
    services.key_add(server=server)
    DIRECTORY.load()
    return server


@pytest.fixture
def app(customer: Customer) -> PushApp:
    """Acme's app for iPhones."""
    return services.app_add(label="apple_rn", topic="com.acme.chat", customer=customer).row


def form(chat: Server, app: PushApp, **more: str) -> dict[str, str]:
    """What a browser sends."""
    values = {"server": str(chat.public_id), "app": str(app.pk), "target": "pasted", "device_id": "ab" * 32}
    return {**values, **more}


def logged(chat: Server, ack_id: str, kind: str = "message", answer: str = "OK") -> None:
    """A row of the log as a worker writes it."""
    at = timezone.now().timestamp()
    attempts = f'[{{"at":{at + 0.010:.3f},"host":"api.push.apple.com","status":200,"ms":25}}]'
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO delivery_delivery ({LOG_COLUMNS}) VALUES "  # noqa: S608
            "(%s, to_timestamp(%s), to_timestamp(%s), %s, %s, NULL, NULL, 'apple_rn-v2', %s, '', %s, 's', 'd', 1, "
            "'sent', 'ok', %s, 'ours', true, %s, NULL, 1)",
            [
                f"t-{ack_id}",
                at,
                at + 0.040,
                chat.customer_id,
                chat.pk,
                kind,
                mattermost_id.pack(ack_id),
                answer,
                attempts,
            ],
        )


def test_without_a_server_with_a_key_the_page_leads_to_one(ada: Browser, customer: Customer) -> None:
    assert "Add a server and a key" in ada.get(PLACE).content.decode()
    services.server_add(customer=customer, name="chat")
    assert "Add a server and a key" in ada.get(PLACE).content.decode()


def test_the_sandboxs_phone_is_offered_only_where_there_is_a_sandbox(
    ada: Browser, chat: Server, app: PushApp, settings: Settings
) -> None:
    settings.SANDBOX_URL = ""
    assert "sandbox" not in ada.get(PLACE).content.decode()
    assert "Select a valid choice" in ada.post(PLACE, form(chat, app, target="sandbox")).content.decode()
    settings.SANDBOX_URL = "http://127.0.0.1:8067/"
    assert "The sandbox" in ada.get(PLACE).content.decode()


def test_a_test_push_of_a_suspended_customer_says_that_it_is_suspended(
    ada: Browser, chat: Server, app: PushApp, customer: Customer
) -> None:
    customers.suspend(customer=customer, reason="unpaid since May")
    text = ada.post(PLACE, form(chat, app)).content.decode()
    assert "is suspended: every push is refused, and this one would be, too." in text
    assert "No key of this server is in use yet" not in text
    assert "The reason given: unpaid since May." in text


@pytest.mark.parametrize(
    ("device_id", "why"),
    [
        ("", "at least 16 letters"),
        ("short", "at least 16 letters"),
        ("ab" * 32 + " ; DROP", "at least 16 letters"),
        ("android_rn-v2:" + "ab" * 32, "This is a device of the app android_rn, not of apple_rn."),
    ],
)
def test_a_device_id_that_will_not_do_is_said_at_its_field(
    ada: Browser, chat: Server, app: PushApp, device_id: str, why: str
) -> None:
    assert why in ada.post(PLACE, form(chat, app, device_id=device_id)).content.decode()


def test_a_process_without_an_outbox_says_so(ada: Browser, chat: Server, app: PushApp) -> None:
    text = ada.post(PLACE, form(chat, app, device_id="apple_rn-v2:" + "ab" * 32)).content.decode()
    assert "test pushes are sent by the pages process, and this is none" in text


def test_another_customers_server_and_app_cannot_be_chosen(ada: Browser, chat: Server, app: PushApp) -> None:
    cosmos = customers.add(name="Cosmos", offer="eas").row
    server = services.server_add(customer=cosmos, name="c").row
    services.key_add(server=server)
    theirs = services.app_add(label="apple_rn", topic="com.cosmos", customer=cosmos).row
    for wrong in (form(server, app), form(chat, theirs)):
        assert "Select a valid choice" in ada.post(PLACE, wrong).content.decode()


def test_a_viewer_is_not_led_to_what_is_not_a_viewers(customer: Customer) -> None:
    text = browser(customer, "viewer").get(PLACE).content.decode()
    assert "An owner or an admin can make one." in text
    assert "Add a server and a key" not in text


def test_a_viewer_sends_none_and_may_watch(customer: Customer, chat: Server, app: PushApp) -> None:
    ben = browser(customer, "viewer")
    assert "An owner or an admin can send one." in ben.get(PLACE).content.decode()
    assert ben.post(PLACE, form(chat, app)).status_code == 403


def test_the_result_asks_until_the_log_knows_and_then_tells_each_step(ada: Browser, chat: Server) -> None:
    before = ada.get(f"{PLACE}the-ack/").content.decode()
    assert "On its way" in before
    assert 'hx-trigger="every 1s"' in before
    logged(chat, "the-ack")
    after = ada.get(f"{PLACE}the-ack/", headers={"HX-Request": "true"}).content.decode()
    assert "every 1s" not in after
    assert "api.push.apple.com took it after 25 ms" in after
    assert "+35 ms" in after
    assert "<html" not in after


def test_the_next_test_of_an_app_is_caught_and_older_ones_are_not(ada: Browser, chat: Server) -> None:
    logged(chat, "older", kind="test")
    later = int((timezone.now() + timedelta(seconds=5)).timestamp())
    assert "Waiting" in ada.get(f"{PLACE}live/?since={later}").content.decode()
    now = int((timezone.now() - timedelta(seconds=5)).timestamp())
    assert "Caught" in ada.get(f"{PLACE}live/?since={now}").content.decode()


@pytest.mark.parametrize("since", ["", "x", "-1", "9" * 11, "9" * 30, "٣", "0"])
def test_nonsense_in_the_address_of_the_live_part_is_no_error(ada: Browser, since: str) -> None:
    assert ada.get(f"{PLACE}live/", {"since": since}).status_code == 200


def test_another_customers_pushes_are_shown_to_nobody(ada: Browser, customer: Customer) -> None:
    cosmos = services.server_add(customer=customers.add(name="Cosmos", offer="eas").row, name="c").row
    logged(cosmos, "theirs", kind="test")
    assert "On its way" in ada.get(f"{PLACE}theirs/").content.decode()
    assert "Caught" not in ada.get(f"{PLACE}live/").content.decode()


def test_a_test_push_is_a_push_of_today() -> None:
    push = trial_push.make_push("ab" * 32, "apple_rn-v2", "server", "Acme")
    other = trial_push.make_push("ab" * 32, "apple_rn-v2", "server", "Acme")
    assert push.ack_id != other.ack_id
    assert (push.type, push.version, push.message) == ("message", "v2", f"Acme: {trial_push.TEXT}")
