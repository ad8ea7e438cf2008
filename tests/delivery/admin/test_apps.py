"""The staff's pages for apps and credentials: uploads are read, sealed and asked about, and shown by none."""

import pytest
import redis
from django.core.files.uploadedfile import SimpleUploadedFile

from billing import customers
from tenants import services
from tenants.models import AuditEvent, Credential, PushApp
from tests.browsing import Browser, staff
from tests.sandbox_fixture import SandboxClient

pytestmark = pytest.mark.django_db
NEW = {"label": "apple_rn", "family": "apns", "topic": "com.mattermost.rn", "host": "production"}


@pytest.fixture
def somebody(valkey: redis.Redis) -> Browser:
    """Somebody of the staff, with a second factor shown."""
    return Browser().enter(staff(), factor=True)


def key(providers: SandboxClient) -> dict[str, object]:
    """The sandbox's key for Apple, as a form sends it."""
    made = providers.demo
    return {
        "file": SimpleUploadedFile(made.apns_key.name, made.apns_key.read_bytes()),
        "team_id": made.team_id,
    }


def test_a_shared_app_is_added_with_its_key_and_the_provider_is_asked(
    somebody: Browser, providers: SandboxClient
) -> None:
    answer = somebody.post("/admin/tenants/pushapp/add/", {**NEW, **key(providers)}, follow=True)
    text = answer.content.decode()
    assert "Apple accepts this key for com.mattermost.rn" in text
    row = Credential.objects.get()
    assert (row.app.customer, row.slot, row.check_code) == (None, "current", "ok")
    assert set(AuditEvent.objects.values_list("action", "actor_kind")) >= {
        ("app.add", "staff"),
        ("credential.add", "staff"),
    }
    assert row.sealed[:30] not in text


def test_a_second_file_becomes_the_next_credential_and_is_promoted_by_an_action(
    somebody: Browser, providers: SandboxClient
) -> None:
    somebody.post("/admin/tenants/pushapp/add/", {**NEW, **key(providers)})
    app = PushApp.objects.get()
    second = providers.add_key("ZYX987WVU6").read_bytes()
    upload = {"file": SimpleUploadedFile("AuthKey_ZYX987WVU6.p8", second), "team_id": "TEAM123456", "enabled": "on"}
    somebody.post(f"/admin/tenants/pushapp/{app.pk}/change/", upload)
    waiting = Credential.objects.get(slot="next")
    order = {"action": "promote", "_selected_action": [waiting.pk]}
    assert "pushes are signed with" in somebody.post("/admin/tenants/credential/", order, follow=True).content.decode()
    waiting.refresh_from_db()
    assert waiting.slot == "current"


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        (
            "AuthKey_ABC123DEFG.p8",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "without",
        ),
        ("key.p8", b"nonsense", "is no key"),
        ("account.json", b'{"type": "authorized_user"}', "service account"),
        ("deep.json", b'{"a":' * 1000 + b"1" + b"}" * 1000, ""),
        ("large.p12", b"0" * 150_000, "larger"),
    ],
)
def test_a_file_that_is_none_is_said_at_the_field_and_leaves_nothing(
    somebody: Browser, name: str, data: bytes, why: str
) -> None:
    answer = somebody.post("/admin/tenants/pushapp/add/", {**NEW, "file": SimpleUploadedFile(name, data)})
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert why in answer.content.decode()
    assert not PushApp.objects.exists()


def test_credentials_in_trouble_are_found_at_a_glance(somebody: Browser, providers: SandboxClient) -> None:
    somebody.post("/admin/tenants/pushapp/add/", {**NEW, **key(providers)})
    row = Credential.objects.get()
    found = f"/credential/{row.pk}/change/"
    assert found not in somebody.get("/admin/tenants/credential/?trouble=refused").content.decode()
    services.credential_record_fault(app_id=row.app_id, credential_id=row.pk, code="apns_invalid_provider_token")
    for page in ("?trouble=refused", f"{row.pk}/change/"):
        text = somebody.get(f"/admin/tenants/credential/{page}").content.decode()
        assert "Apple does not accept the key" in text
        code = "apns_invalid_provider_token"
        assert text.count(f"<small>({code})</small>") == text.count(code) == 1
        assert "Good" in text
    assert found in somebody.get("/admin/tenants/credential/?trouble=refused").content.decode()


def test_an_app_of_a_customer_is_fixed_in_all_but_its_switches(somebody: Browser) -> None:
    acme = customers.add(name="Acme", offer="eas").row
    app = services.app_add(label="apple_rn", topic="com.acme.chat", customer=acme).row
    form = {"label": "other", "topic": "com.evil", "customer": "", "is_default": "on"}
    assert somebody.post(f"/admin/tenants/pushapp/{app.pk}/change/", {**form, "enabled": "on"}).status_code == 302
    app.refresh_from_db()
    assert (app.label, app.topic, app.customer, app.is_default) == ("apple_rn", "com.acme.chat", acme, True)
    somebody.post(f"/admin/tenants/pushapp/{app.pk}/change/", form)
    app.refresh_from_db()
    assert not app.enabled
