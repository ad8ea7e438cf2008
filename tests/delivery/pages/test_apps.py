"""The customers' pages for apps and credentials."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections, transaction

from billing import customers
from delivery.worker import credential_check
from tenants import services
from tenants.models import Credential, Customer, PushApp
from tenants.providers import apple_files
from tests.browsing import Browser, browser
from tests.sandbox_fixture import SandboxClient
from tests.tenants import files

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(customer: Customer) -> PushApp:
    """Acme's app for iPhones."""
    return services.app_add(label="apple_rn", topic="com.mattermost.rn", customer=customer).row


def upload(providers: SandboxClient, name: str = "", data: bytes = b"") -> dict[str, object]:
    """A file, by default the sandbox's key for Apple, as the form sends it."""
    made = providers.demo
    file = SimpleUploadedFile(name or made.apns_key.name, data or made.apns_key.read_bytes())
    return {"file": file, "team_id": made.team_id}


def test_an_app_is_added_and_leads_to_its_credential(ada: Browser, customer: Customer) -> None:
    form = {"label": "android_rn", "topic": "com.acme.chat", "host": "production"}
    answer = ada.post("/c/acme/apps/", form, follow=True)
    row = PushApp.objects.get()
    assert (row.customer, row.family, row.host) == (customer, "fcm", "")
    assert "Upload its credential" in answer.content.decode()


def test_the_operators_apps_are_shown_where_they_may_be_used_without_their_credentials(
    ada: Browser, customer: Customer
) -> None:
    shared = services.app_add(label="apple_rn", topic="com.mattermost.rn").row
    parsed = apple_files.apple_key(files.p8(), key_id="SHARED1234", team_id="TEAM123456")
    services.credential_add(app=shared, parsed=parsed)
    assert "com.mattermost.rn" not in ada.get("/c/acme/apps/").content.decode()
    customer.entitlement.may_use_shared = True
    customer.entitlement.save()
    text = ada.get("/c/acme/apps/").content.decode()
    assert "com.mattermost.rn" in text
    assert "SHARED1234" not in text
    assert ada.get(f"/c/acme/apps/{shared.pk}/").status_code == 404


def test_the_first_file_is_used_at_once_and_the_second_waits_until_it_is_promoted(
    ada: Browser, app: PushApp, providers: SandboxClient
) -> None:
    where = f"/c/acme/apps/{app.pk}/"
    text = ada.post(f"{where}credentials/", upload(providers), follow=True).content.decode()
    assert "Apple accepts this key for com.mattermost.rn" in text
    first = Credential.objects.get()
    assert first.slot == "current"
    ada.post(
        f"{where}credentials/", upload(providers, "AuthKey_ZYX987WVU6.p8", providers.add_key("ZYX987WVU6").read_bytes())
    )
    second = Credential.objects.get(slot="next")
    text = ada.post(f"{where}credentials/{second.pk}/promote/", follow=True).content.decode()
    assert "Pushes are signed with" in text
    second.refresh_from_db()
    assert second.slot == "current"


def test_a_next_credential_that_the_provider_refuses_is_not_promoted(
    ada: Browser, app: PushApp, providers: SandboxClient
) -> None:
    where = f"/c/acme/apps/{app.pk}/"
    ada.post(f"{where}credentials/", upload(providers))
    text = ada.post(f"{where}credentials/", upload(providers, "AuthKey_QQQ987WVU6.p8", files.p8()), follow=True)
    assert "Apple does not accept the key" in text.content.decode()
    bad = Credential.objects.get(slot="next")
    text = ada.post(f"{where}credentials/{bad.pk}/promote/", follow=True)
    assert "is not promoted" in text.content.decode()
    bad.refresh_from_db()
    assert bad.slot == "next"


def test_a_file_that_is_none_is_said_at_its_field(ada: Browser, app: PushApp, providers: SandboxClient) -> None:
    answer = ada.post(f"/c/acme/apps/{app.pk}/credentials/", upload(providers, "x.p8", b"nonsense"))
    assert answer.status_code == 200
    assert "The file is no key" in answer.content.decode()
    assert not Credential.objects.exists()


def test_a_credential_goes_only_after_its_id_was_typed(ada: Browser, app: PushApp) -> None:
    parsed = apple_files.apple_key(files.p8(), key_id="ABC123DEFG", team_id="TEAM123456")
    row = services.credential_add(app=app, parsed=parsed).row
    where = f"/c/acme/apps/{app.pk}/credentials/{row.pk}/remove/"
    assert "This is not" in ada.post(where, {"typed": "yes"}).content.decode()
    assert Credential.objects.exists()
    assert ada.post(where, {"typed": row.key_id}).status_code == 302
    assert not Credential.objects.exists()


def test_what_is_another_customers_is_not_found(ada: Browser, app: PushApp) -> None:
    cosmos = customers.add(name="Cosmos", offer="eas").row
    theirs = services.app_add(label="apple_rn", topic="com.cosmos", customer=cosmos).row
    parsed = apple_files.apple_key(files.p8(), key_id="ABC123DEFG", team_id="TEAM123456")
    row = services.credential_add(app=theirs, parsed=parsed).row
    for pk in (app.pk, theirs.pk):
        for act in ("check", "remove"):
            where = f"/c/acme/apps/{pk}/credentials/{row.pk}/{act}/"
            assert ada.post(where, {"typed": row.key_id}).status_code == 404
    assert ada.post(f"/c/acme/apps/{theirs.pk}/credentials/{row.pk}/promote/").status_code == 404
    page = ada.post(f"/c/acme/apps/{app.pk}/credentials/{row.pk}/promote/", follow=True).content.decode()
    assert "promoted" not in page
    assert row.key_id not in page
    assert ada.get(f"/c/acme/apps/{theirs.pk}/").status_code == 404
    assert ada.post(f"/c/acme/apps/{theirs.pk}/credentials/").status_code == 404
    assert Credential.objects.filter(pk=row.pk, slot="current").exists()


def test_a_viewer_sees_the_state_and_changes_nothing(customer: Customer, app: PushApp) -> None:
    ben = browser(customer, "viewer")
    text = ben.get(f"/c/acme/apps/{app.pk}/").content.decode()
    assert "no push can be sent" in text
    assert "Upload</button>" not in text
    assert ben.post(f"/c/acme/apps/{app.pk}/credentials/").status_code == 403


def test_a_good_credential_takes_the_place_of_a_refused_one_at_once(
    ada: Browser, app: PushApp, providers: SandboxClient
) -> None:
    where = f"/c/acme/apps/{app.pk}/"
    mistyped = {**upload(providers), "team_id": "WRONGTEAM9"}
    assert "Apple does not accept the key" in ada.post(f"{where}credentials/", mistyped, follow=True).content.decode()
    # Also afterwards: what the provider said, and what it is called at most in small print.
    text = ada.get(where).content.decode()
    words = f"Apple does not accept the key {providers.demo.key_id} of the team WRONGTEAM9</span>"
    assert text.count(f"{words} <small>(apns_invalid_provider_token)</small>") == 2
    # And once each in what needs doing and in the record.
    assert text.count("apns_invalid_provider_token") == 4
    text = ada.post(f"{where}credentials/", upload(providers), follow=True).content.decode()
    assert "Pushes are signed with" in text
    assert Credential.objects.get(slot="current").key_id.startswith(providers.demo.team_id)


def test_a_wrong_team_id_is_said_at_its_field(ada: Browser, app: PushApp, providers: SandboxClient) -> None:
    wrong = {**upload(providers), "team_id": "abc"}
    text = ada.post(f"/c/acme/apps/{app.pk}/credentials/", wrong).content.decode()
    assert 'id="id_team_id_error">The team id must be 10 capital letters and digits' in text


def test_an_app_of_googles_is_asked_for_nothing_of_apples(ada: Browser, customer: Customer) -> None:
    row = services.app_add(label="android_rn", topic="com.acme.chat", customer=customer).row
    text = ada.get(f"/c/acme/apps/{row.pk}/").content.decode()
    assert "service account (.json)" in text
    assert 'name="team_id"' not in text


@pytest.mark.django_db(transaction=True)
def test_nothing_is_locked_and_the_file_is_kept_while_the_provider_says_nothing(
    customer: Customer, app: PushApp, providers: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential_check, "SECONDS", 2.0)
    providers.mode("silent")

    def post() -> str:
        try:
            ada = browser(customer, "owner")
            return ada.post(f"/c/acme/apps/{app.pk}/credentials/", upload(providers), follow=True).content.decode()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        posted = pool.submit(post)
        while not Credential.objects.exists():
            assert not posted.done(), posted.result()
            time.sleep(0.02)
        with transaction.atomic():
            assert PushApp.objects.select_for_update(nowait=True).get() == app
            assert Credential.objects.select_for_update(nowait=True).get().check_code == ""
        assert not posted.done()
        assert "It is not known whether" in posted.result(20)
    assert Credential.objects.get().check_code
