"""Changing, switching off and removing an app on its pages: what is said before, what happens, and whose app it is."""

import pytest

from billing import customers
from tenants import services
from tenants.models import AuditEvent, Credential, Customer, PushApp
from tenants.providers import apple_files
from tests.browsing import Browser, browser
from tests.sandbox_fixture import SandboxClient
from tests.tenants import files

pytestmark = pytest.mark.django_db
KEY = "TEAM123456/ABC1234567"


@pytest.fixture
def app(customer: Customer) -> PushApp:
    """Acme's app for iPhones, with a mistyped bundle id, and a key."""
    row = services.app_add(label="apple_rn", topic="com.acme.chta", customer=customer).row
    parsed = apple_files.apple_key(files.p8(), key_id="ABC1234567", team_id="TEAM123456")
    services.credential_add(app=row, parsed=parsed)
    return row


def page(app: PushApp, act: str = "") -> str:
    """The address of an app's page, or of one below it."""
    return f"/c/acme/apps/{app.pk}/{act}"


def test_a_mistyped_bundle_id_is_mended_and_apple_is_asked_at_once(
    ada: Browser, app: PushApp, providers: SandboxClient
) -> None:
    Credential.objects.update(refused_at=app.created_at, refused_code="apns_bad_topic")
    before = ada.get(page(app, "change/")).content.decode()
    assert f"<code>{KEY}</code> stays, and Apple is asked at once whether it takes it for the new one." in before
    text = ada.post(page(app, "change/"), {"topic": "com.acme.chat", "host": "production"}, follow=True)
    assert "apple_rn is com.acme.chat now." in text.content.decode()
    app.refresh_from_db()
    assert app.topic == "com.acme.chat"
    assert Credential.objects.get().checked_at is not None
    event = AuditEvent.objects.get(action="app.change")
    assert event.details == {"before": "com.acme.chta, production", "after": "com.acme.chat, production"}


@pytest.mark.parametrize(("topic", "why"), [("", "required"), ("com acme", "bundle id or package name")])
def test_what_can_be_no_bundle_id_is_said_at_its_field(ada: Browser, app: PushApp, topic: str, why: str) -> None:
    assert why in ada.post(page(app, "change/"), {"topic": topic, "host": "production"}).content.decode()
    app.refresh_from_db()
    assert app.topic == "com.acme.chta"


def test_a_certificate_is_for_one_bundle_id_so_that_it_has_to_go_first(ada: Browser, app: PushApp) -> None:
    Credential.objects.update(kind="apns_cert")
    text = ada.post(page(app, "change/"), {"topic": "com.acme.chat", "host": "production"}).content.decode()
    assert f"The certificate {KEY} is for com.acme.chta alone: delete it first, then change this." in text


def test_an_app_is_switched_off_and_on_again_and_keeps_its_key(ada: Browser, app: PushApp) -> None:
    text = ada.get(page(app, "disable/")).content.decode()
    assert "Pushes for <code>apple_rn</code> are refused, and Mattermost&#x27;s log says so." in text.replace(
        "Mattermost's", "Mattermost&#x27;s"
    )
    assert f"Its credential stays sealed here: <code>{KEY}</code>." in text
    assert "None" not in text.partition('<form method="post">')[2]
    text = ada.post(page(app, "disable/"), follow=True).content.decode()
    assert "it is switched off and takes no pushes." in text
    assert "Switched off" in ada.get("/c/acme/apps/").content.decode()
    ada.post(page(app, "enable/"))
    app.refresh_from_db()
    assert app.enabled
    assert Credential.objects.count() == 1


def test_pushes_of_a_shared_label_go_to_the_operators_app_as_the_page_says(
    ada: Browser, customer: Customer, app: PushApp
) -> None:
    services.app_add(label="apple_rn", topic="com.operator.chat")
    customer.entitlement.may_use_shared = True
    customer.entitlement.save()
    text = ada.get(page(app, "remove/")).content.decode()
    assert "go to the operator's app <code>com.operator.chat</code> instead" in text


def test_an_app_is_removed_with_its_credentials_after_its_bundle_id_was_typed(ada: Browser, app: PushApp) -> None:
    assert "Nothing was changed." in ada.post(page(app, "remove/"), {"typed": "apple_rn"}).content.decode()
    text = ada.post(page(app, "remove/"), {"typed": "com.acme.chta"}, follow=True).content.decode()
    assert "apple_rn (com.acme.chta) was removed, with its credentials." in text
    assert not Credential.objects.exists()
    assert ada.get(page(app)).status_code == 404
    ada.post("/c/acme/apps/", {"label": "apple_rn", "topic": "com.acme.chat", "host": "production"})
    assert PushApp.objects.get(removed_at=None).topic == "com.acme.chat"
    actions = AuditEvent.objects.filter(actor_kind="member").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["credential.remove", "app.remove", "app.add"]


def test_a_viewer_reads_what_it_means_and_can_do_nothing(customer: Customer, app: PushApp) -> None:
    ben = browser(customer, "viewer")
    for act in ("change/", "disable/", "remove/"):
        assert "An owner or an admin can do that." in ben.get(page(app, act)).content.decode()
        assert ben.post(page(app, act), {"typed": app.topic, "topic": "com.x"}).status_code == 403
    assert ben.post(page(app, "enable/")).status_code == 403
    assert "Switch off" not in ben.get(page(app)).content.decode()


def test_anothers_app_and_the_operators_cannot_be_touched(ada: Browser, app: PushApp) -> None:
    cosmos = customers.add(name="Cosmos", offer="hpns").row
    theirs = services.app_add(label="apple_rn", topic="com.cosmos", customer=cosmos).row
    shared = services.app_add(label="apple_rn", topic="com.operator").row
    for row in (theirs, shared):
        for act in ("change/", "disable/", "enable/", "remove/"):
            assert ada.post(page(row, act), {"typed": row.topic, "topic": "com.x"}).status_code == 404
        row.refresh_from_db()
        assert (row.enabled, row.removed_at) == (True, None)


def test_a_next_key_that_is_refused_offers_no_promotion(ada: Browser, app: PushApp) -> None:
    parsed = apple_files.apple_key(files.p8(), key_id="NEXT123456", team_id="TEAM123456")
    services.credential_add(app=app, parsed=parsed, slot="next")
    assert "Promote" in ada.get(page(app)).content.decode()
    Credential.objects.filter(slot="next").update(refused_at=app.created_at, refused_code="apns_bad_topic")
    text = ada.get(page(app)).content.decode()
    assert "<button>Promote</button>" not in text
    assert "It cannot take the current one's place while Apple refuses it" in text.replace("&#x27;", "'")
