"""The staff's pages for customers: one form takes one on, and every change is checked, audited and told."""

from typing import Any

import pytest
import redis
from django.contrib.auth.models import Permission
from django.core import mail
from pytest_django import Settings

from billing import customers
from billing.offers import Limits
from tenants import services
from tenants.models import AuditEvent, Customer, Entitlement, Invitation, Role, Server
from tests.browsing import Browser, member, staff

pytestmark = pytest.mark.django_db(transaction=True)
ADD = "/admin/tenants/customer/add/"
FORM = {
    "name": "Acme",
    "slug": "",
    "offer": "hpns",
    "owner_email": "ada@acme.example",
    "server_name": "chat.acme.example",
}


@pytest.fixture
def somebody(valkey: redis.Redis, settings: Settings) -> Browser:
    """Somebody of the staff, with a second factor shown."""
    settings.PUBLIC_URL = "https://push.example.com"
    return Browser().enter(staff(), factor=True)


def changed(customer: Customer, **more: Any) -> dict[str, Any]:
    """The customer's form as a browser would send it back, with changes."""
    entitlement = Entitlement.objects.get(customer=customer)
    form: dict[str, Any] = {
        "name": customer.name,
        "offer": customer.offer,
        "content": customer.content,
        "contacts": ",".join(customer.contacts),
        "entitlement-TOTAL_FORMS": "1",
        "entitlement-INITIAL_FORMS": "1",
        "entitlement-0-id": entitlement.pk,
        "entitlement-0-customer": customer.pk,
    }
    for name in ("active", "may_use_shared", "tls_required", "may_use_server_id"):
        if getattr(entitlement, name):
            form[f"entitlement-0-{name}"] = "on"
    for name in Limits._fields:
        form[f"entitlement-0-{name}"] = getattr(entitlement, name) or ""
    return {**form, **more}


def page(customer: Customer) -> str:
    """The address of a customer's page."""
    return f"/admin/tenants/customer/{customer.pk}/change/"


def test_one_form_takes_a_customer_on_with_server_and_first_owner(somebody: Browser) -> None:
    answer = somebody.post(ADD, FORM)
    assert answer.status_code == 302, answer.content.decode()
    acme = Customer.objects.get()
    assert (acme.slug, acme.entitlement.may_use_shared) == ("acme", True)
    assert Server.objects.get().name == "chat.acme.example"
    invitation = Invitation.objects.get()
    assert (invitation.email, invitation.role, invitation.customer) == ("ada@acme.example", "owner", acme)
    (letter,) = mail.outbox
    assert letter.to == ["ada@acme.example"]
    assert "https://push.example.com/invitation/" in letter.body
    actions = set(AuditEvent.objects.filter(customer_id=acme.pk).values_list("action", "actor_kind", "actor"))
    assert actions == {
        (what, "staff", "staff@example.com") for what in ("customer.add", "server.add", "invitation.add")
    }


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"name": "Acme\nBcc: all@example.com"}, "printable characters"),
        ({"owner_email": "nobody"}, "valid email"),
        ({"slug": "Not A Slug"}, "slug"),
        ({"name": "Cosmos"}, "is a customer cosmos already"),
    ],
)
def test_what_will_not_do_is_said_at_the_form_and_leaves_nothing(
    somebody: Browser, wrong: dict[str, str], why: str
) -> None:
    customers.add(name="Cosmos", offer="hpns")
    answer = somebody.post(ADD, {**FORM, **wrong})
    assert answer.status_code == 200
    assert why in answer.content.decode().replace("&#x27;", "'")
    assert list(Customer.objects.values_list("slug", flat=True)) == ["cosmos"]
    assert not Invitation.objects.exists()
    assert mail.outbox == []


def test_a_letter_that_cannot_be_sent_is_said_and_the_customer_stays(somebody: Browser, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    text = somebody.post(ADD, FORM, follow=True).content.decode()
    assert "could not be sent" in text
    assert Customer.objects.exists()


def test_limits_change_by_form_and_only_what_changed_is_noted(somebody: Browser) -> None:
    acme = customers.add(name="Acme", offer="hpns").row
    form = {"entitlement-0-rate": "7", "entitlement-0-burst": "70"}
    answer = somebody.post(page(acme), changed(acme, **form))
    assert answer.status_code == 302, answer.content.decode()
    row = Entitlement.objects.get(customer=acme)
    assert (row.rate, row.burst, row.server_rate) == (7, 70, 1000)
    seen = AuditEvent.objects.filter(action="limit.change").values_list("target", flat=True)
    assert sorted(seen) == ["burst", "rate"]


def test_limits_that_make_no_sense_are_said_at_the_form(somebody: Browser) -> None:
    acme = customers.add(name="Acme", offer="hpns").row
    answer = somebody.post(page(acme), changed(acme, **{"entitlement-0-burst": ""}))
    assert answer.status_code == 200
    assert "both, or neither" in answer.content.decode()
    assert Entitlement.objects.get(customer=acme).burst == 100_000


def test_another_offer_brings_its_terms(somebody: Browser) -> None:
    acme = customers.add(name="Acme", offer="hpns").row
    assert somebody.post(page(acme), changed(acme, offer="tpns")).status_code == 302
    acme.refresh_from_db()
    assert (acme.offer, Entitlement.objects.get(customer=acme).rate) == ("tpns", 5)


def test_the_slug_and_the_status_are_changed_by_no_form(somebody: Browser) -> None:
    acme = customers.add(name="Acme", offer="hpns").row
    somebody.post(page(acme), changed(acme, slug="other", status="suspended"))
    acme.refresh_from_db()
    assert (acme.slug, acme.status) == ("acme", "active")


def test_staff_who_may_only_look_at_customers_can_open_one(valkey: redis.Redis) -> None:
    acme = customers.add(name="Acme", offer="hpns").row
    looker = staff()
    looker.is_superuser = False
    looker.save()
    looker.user_permissions.add(Permission.objects.get(codename="view_customer"))
    answer = Browser().enter(looker, factor=True).get(page(acme))
    assert answer.status_code == 200
    assert "Acme" in answer.content.decode()


def act_on(somebody: Browser, customer: Customer, action: str, **more: str) -> str:
    """What the list answers to an action on one customer, where it led."""
    form = {"action": action, "_selected_action": [customer.pk], **more}
    return str(somebody.post("/admin/tenants/customer/", form, follow=True).content.decode())


def test_staff_are_asked_why_before_a_customer_is_suspended(somebody: Browser) -> None:
    acme = customers.add(name="Acme", offer="hpns").row
    asked = act_on(somebody, acme, "suspend")
    assert "Every push of these customers is refused within two seconds" in asked
    assert "This field is required" in act_on(somebody, acme, "suspend", confirmed="yes", reason=" ")
    acme.refresh_from_db()
    assert acme.status == "active"
    assert mail.outbox == []


def test_suspending_and_resuming_write_to_the_owners_with_the_reason(somebody: Browser) -> None:
    acme = customers.add(name="Acme", offer="hpns").row
    member("ada", acme, Role.OWNER)
    member("ben", acme, Role.VIEWER)
    told = act_on(somebody, acme, "suspend", confirmed="yes", reason="unpaid since May")
    assert "1 customer was suspended." in told
    assert "1 e-mail went out." in told
    acme.refresh_from_db()
    assert acme.status == "suspended"
    assert AuditEvent.objects.get(action="customer.suspend").details == {"reason": "unpaid since May"}
    assert "1 customer was resumed." in act_on(somebody, acme, "resume", confirmed="yes", reason="")
    acme.refresh_from_db()
    assert acme.status == "active"
    suspended, resumed = mail.outbox
    assert suspended.to == resumed.to == ["ada@acme.example"]
    assert suspended.subject == "Pushes of Acme are refused: it was suspended"
    assert "Why: unpaid since May" in suspended.body
    assert "https://push.example.com/c/acme/" in suspended.body
    assert resumed.subject == "Pushes of Acme are served again"


def test_who_is_suspended_already_gets_no_second_mail(somebody: Browser) -> None:
    acme = customers.add(name="Acme", offer="hpns").row
    member("ada", acme, Role.OWNER)
    customers.suspend(customer=acme, reason="unpaid")
    assert "0 customers were suspended." in act_on(somebody, acme, "suspend", confirmed="yes", reason="again")
    assert mail.outbox == []


def test_a_customer_is_found_by_all_that_people_have_of_it(somebody: Browser) -> None:
    acme = customers.add(name="Acme", offer="hpns").row
    customers.add(name="Cosmos", offer="hpns")
    server = services.server_add(customer=acme, name="chat.acme.example").row
    key = services.key_add(server=server).row
    services.server_id_add(server=server, mattermost_id="z" * 26)
    services.app_add(label="apple_rn", topic="com.acme.chat", customer=acme)
    for words in ("acm", "chat.acme", key.prefix, "z" * 26, "com.acme.chat"):
        text = somebody.get("/admin/tenants/customer/", {"q": words}).content.decode()
        assert "1 customer" in text, words
        assert f"/customer/{acme.pk}/change/" in text


def test_staff_are_led_to_the_customers_own_pages(somebody: Browser) -> None:
    customers.add(name="Acme", offer="hpns")
    assert 'href="/c/acme/"' in somebody.get("/admin/tenants/customer/").content.decode()
