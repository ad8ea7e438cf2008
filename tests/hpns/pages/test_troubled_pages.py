"""No page is green while pushes fail: home, server, app and test page say first what is wrong, and what to do."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from delivery.outcomes import judge
from delivery.outcomes.verdict import Verdict
from tenants.audit import recording
from tenants.models import Credential, PushApp, Rejection, ServerKey
from tests.browsing import Browser, browser, tenant
from tests.delivery.insight.traffic import REFUSED, came, count_all
from tests.delivery.logged_pushes import acknowledge, log
from tests.delivery.rollups.pushes import SENT
from tests.tenants.two_customers import Cast, sql, two_customers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def cast(db: None) -> Cast:
    """Acme with a key that is used, and no trouble."""
    made = two_customers()
    ServerKey.objects.update(last_used_at=timezone.now())
    Rejection.objects.all().delete()
    sql("DELETE FROM delivery_delivery")
    return made


@pytest.fixture
def app(cast: Cast) -> PushApp:
    """Acme's own."""
    return PushApp.objects.get(customer=cast.acme.customer)


@pytest.fixture
def ada(cast: Cast) -> Browser:
    """Acme's owner."""
    return Browser().enter(cast.ada)


def read(client: Browser, address: str = "") -> str:
    """The page's main part as a reader has it: without tags and scripts, in one line."""
    answer = client.get(f"/c/acme/{address}")
    assert answer.status_code == 200
    main = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    text = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", main, flags=re.DOTALL)
    return re.sub(r"\s+([.,:;])", r"\1", " ".join(text.split())).replace("&#x27;", "'")


def everywhere(cast: Cast, app: PushApp) -> list[str]:
    return ["", f"servers/{cast.acme.server.public_id}/", f"apps/{app.pk}/", "test/", "delivery/"]


def test_where_all_is_well_no_page_tells_of_trouble(cast: Cast, app: PushApp, ada: Browser) -> None:
    came(cast.acme, SENT, count=60, app=app.pk)
    count_all()
    for address in everywhere(cast, app):
        text = read(ada, address)
        assert "Not well" not in text, address
        assert "Look at this" not in text, address
    assert "All 60 pushes were handed off in the last 24 hours." in read(ada)
    assert "delivered" not in read(ada)


@pytest.mark.parametrize("role", ["owner", "viewer"])
def test_a_suspended_customer_reads_so_first_on_every_page_and_nowhere_that_pushes_arrive(
    cast: Cast, app: PushApp, role: str
) -> None:
    came(cast.acme, SENT, count=60, app=app.pk)
    count_all()
    cast.acme.customer.status = "suspended"
    cast.acme.customer.save()
    recording.record("customer.suspend", customer=cast.acme.customer, target="Acme", reason="unpaid since May")
    Rejection.objects.create(
        key=cast.acme.key, code="suspended", count=36, first_at=timezone.now(), last_at=timezone.now(), encrypted=True
    )
    reader = browser(cast.acme.customer, role)
    for address in everywhere(cast, app):
        text = read(reader, address)
        assert "Not well: Acme is suspended: every push is refused since" in text, address
        assert "The reason given: unpaid since May. Ask" in text, address
        assert not re.search(r"delivered|Pushes arrive|Pushes have come in", text), address
    assert read(reader).startswith('id="main" tabindex="-1"> Acme Every push is refused.')
    arrived = reader.get(f"/c/acme/servers/{cast.acme.server.public_id}/arrived/").content.decode()
    assert "Every push is refused" in arrived


def test_home_says_that_36_of_60_failed_though_the_last_push_was_handed_off(cast: Cast, ada: Browser) -> None:
    came(cast.acme, judge.refusal("no_app"), count=36, ago=30)
    came(cast.acme, SENT, count=24, ago=2)
    count_all()
    text = read(ada)
    assert "36 of 60 pushes failed in the last 24 hours. 1 thing needs doing." in text
    assert (
        "Not well: 36 of 60 pushes failed in the last 24 hours: no mobile app is set up for its platform since" in text
    )
    assert "Add an app with exactly the label of its platform" in text


def test_home_links_its_figures_and_its_last_pushes_to_what_they_count(cast: Cast, ada: Browser) -> None:
    came(cast.acme, SENT, count=24)
    count_all()
    page = ada.get("/c/acme/").content.decode()
    assert re.search(r'<dt>Handed off</dt><dd class="number"><a href="/c/acme/[^"]*outcome=sent[^"]*">24</a>', page)
    acked = re.search(r'<dt>Acknowledged by a phone</dt><dd class="number"><a href="/c/acme/([^"]*)"', page)
    assert acked
    assert "acked=yes" in acked[1]


def test_home_says_of_its_last_pushes_what_their_list_says(cast: Cast, app: PushApp, ada: Browser) -> None:
    at = log(cast.acme, app=app.pk, age=60)
    log(cast.acme, "0123456789ab-8", judge.refusal("no_app"), age=50, ack_id="other", platform="windows")
    acknowledge(cast.acme, at)
    for address in ("", "delivery/pushes/"):
        table = read(ada, address).partition("What became of it")[2]
        assert "Delivered" in table, address
        assert "apple_own" in table, address
        assert "Refused no_app" in table, address
        assert "Message" in table, address


def test_the_checklist_says_no_twice_and_a_refused_key_is_no_step_done(cast: Cast, app: PushApp, ada: Browser) -> None:
    cast.acme.customer.entitlement.may_use_shared = False
    cast.acme.customer.entitlement.save()
    Credential.objects.filter(app=app).update(refused_at=timezone.now(), refused_code=REFUSED.code)
    text = read(ada)
    assert "The credential of your app is refused or has ended: upload another one." in text
    Credential.objects.filter(app=app).delete()
    assert "has no credential: no push can be sent to it" not in read(ada)


def test_the_operators_app_is_no_step_done_where_an_own_one_of_its_label_is_refused(
    cast: Cast, app: PushApp, ada: Browser
) -> None:
    PushApp.objects.filter(pk=cast.shared.pk).update(label=app.label)
    Credential.objects.filter(app=app).update(refused_at=timezone.now(), refused_code=REFUSED.code)
    text = read(ada)
    assert "The operator's apps:" not in text
    assert "The credential of your app is refused or has ended: upload another one." in text


def test_a_refused_credential_is_said_at_its_app_with_its_record(cast: Cast, app: PushApp, ada: Browser) -> None:
    came(cast.acme, REFUSED, count=36, app=app.pk)
    came(cast.acme, SENT, count=24, app=app.pk)
    count_all()
    row = Credential.objects.get(app=app)
    recording.record("credential.check", customer=cast.acme.customer, target=str(row), target_id=row.pk, code="ok")
    recording.record(
        "credential.refused", customer=cast.acme.customer, target=str(row), target_id=row.pk, code=REFUSED.code
    )
    recording.record("credential.add", customer=cast.acme.customer, target="XYZ (current, apple_other (Acme))")
    Credential.objects.filter(app=app).update(refused_at=timezone.now(), refused_code=REFUSED.code)
    text = read(ada, f"apps/{app.pk}/")
    assert "Not well: Apple refuses the key Acme of apple_own since" in text
    assert "36 of 60 pushes failed in the last 24 hours (apns_invalid_provider_token)" in text
    record = text.partition("Its credentials over time")[2]
    assert record.index("Refused by the provider Acme") < record.index("Checked with the provider Acme: it is good")
    assert "XYZ" not in record
    assert "What failed in the last 24 hours" in text


def test_a_servers_page_shows_what_was_refused_at_the_door_by_address_and_how_it_came(cast: Cast, ada: Browser) -> None:
    now = timezone.now()
    whole: dict[str, Any] = {"key": cast.acme.key, "first_at": now - timedelta(hours=1), "last_at": now}
    Rejection.objects.create(
        code="wrong_network", address="192.0.2.7", count=1_234, encrypted=True, tls="TLSv1.2", **whole
    )
    Rejection.objects.create(code="plain_http", address="2001:db8::7", count=2, encrypted=False, **whole)
    Rejection.objects.create(code="malformed", address="", count=3, encrypted=True, **whole)
    Rejection.objects.create(code="unknown_key", address="192.0.2.9", guessed=True, encrypted=True, count=1, **whole)
    theirs = tenant("Other")
    Rejection.objects.create(
        code="malformed", address="198.51.100.9", count=3, encrypted=True, **{**whole, "key": theirs.key}
    )
    text = read(ada, f"servers/{cast.acme.server.public_id}/")
    door = text.partition("Refused at the door")[2]
    for part in (
        "192.0.2.7",
        "TLS 1.2 1,234",
        "2001:db8::7",
        "plain HTTP 2",
        "other addresses",
        "HTTPS, ended by a proxy",
        "none of its own",
    ):
        assert part in door
    assert "Look at this: chat.acme.example pushes from 192.0.2.7, which is none of its networks" in text
    assert "198.51.100.9" not in text


def test_a_servers_page_says_that_nothing_was_refused_at_the_door(cast: Cast, ada: Browser) -> None:
    address = f"servers/{cast.acme.server.public_id}/"
    said = "Nothing was refused No request with one of its keys was turned away here, and each could be read."
    assert said in read(ada, address)
    now = timezone.now()
    Rejection.objects.create(code="malformed", key=cast.acme.key, count=1, first_at=now, last_at=now, encrypted=True)
    assert said not in read(ada, address)
    Rejection.objects.all().delete()
    ServerKey.objects.update(last_used_at=None)
    assert "Refused at the door" not in read(ada, address)


def test_a_servers_page_has_its_own_day_its_key_in_use_and_its_last_push(cast: Cast, ada: Browser) -> None:
    came(cast.acme, SENT, count=24)
    came(cast.acme, judge.refusal("no_app"), count=6, server=cast.acme.server.pk + 1_000)
    count_all()
    text = read(ada, f"servers/{cast.acme.server.public_id}/")
    assert "All 24 pushes were handed off in the last 24 hours." in text
    assert "Pushes of the last 24 hours, by 10 minutes" in text
    assert "Key in use hk_Acme0000_..." in text


def test_the_test_page_lists_the_last_tests_of_phones_with_their_reasons(cast: Cast, ada: Browser) -> None:
    came(cast.acme, judge.refusal("no_app"), type="test", platform="android_rn-v2")
    came(cast.acme, SENT, type="test", ago=20)
    came(cast.acme, judge.refusal("malformed"), ago=10)
    count_all()
    tests = read(ada, "test/").partition("The last tests of phones")[2]
    assert "Failed chat.acme.example, android_rn-v2" in tests
    assert "No mobile app is set up for its platform. Add an app with exactly the label of its platform" in tests
    assert "Handed off chat.acme.example, apple_rn-v2" in tests
    assert "malformed" not in tests


@pytest.mark.parametrize(("verdict", "said"), [(judge.refusal("no_app"), True), (SENT, False)])
def test_the_test_page_says_first_why_the_app_says_that_notifications_cannot_be_received(
    cast: Cast, ada: Browser, verdict: Verdict, said: bool
) -> None:
    came(cast.acme, verdict, type="test", platform="apple_other-v2")
    came(cast.acme, judge.refusal("no_app"), type="test", ago=20)
    count_all()
    first = read(ada, "test/").partition("Send one")[0]
    assert ("The last test of a phone, apple_other at chat.acme.example, failed" in first) == said
    assert ("the app says that notifications cannot be received from this server" in first) == said


def test_another_customers_troubles_are_on_no_page(cast: Cast, app: PushApp, ada: Browser) -> None:
    came(cast.cosmos, judge.refusal("no_app"), count=36)
    count_all()
    Credential.objects.filter(app__customer=cast.cosmos.customer).update(refused_at=timezone.now(), refused_code="x")
    for address in everywhere(cast, app):
        assert not re.search(r"Not well|Look at this", read(ada, address)), address
