"""A customer's home: the checklist sees by itself what is done."""

import re
from datetime import datetime

import pytest
from django.test import Client
from django.utils import timezone

from tenants import services
from tenants.models import Customer, ServerKey
from tenants.providers import apple_files
from tests.browsing import browser
from tests.tenants import files

pytestmark = pytest.mark.django_db


def steps(client: Client) -> list[str]:
    """The word of each step of the checklist."""
    text = client.get("/c/acme/").content.decode()
    return re.findall(r'<span class="status [^"]*">.*?</svg>\s*(Done|To do)</span>', text, re.DOTALL)


def test_the_checklist_sees_each_step_as_it_is_done(ada: Client, customer: Customer) -> None:
    assert steps(ada) == ["To do"] * 5
    server = services.server_add(customer=customer, name="chat").row
    assert steps(ada) == ["Done", *["To do"] * 4]
    key = services.key_add(server=server).row
    assert steps(ada)[:2] == ["Done", "Done"]
    app = services.app_add(label="apple_rn", topic="com.acme.chat", customer=customer).row
    assert steps(ada)[2] == "To do"
    parsed = apple_files.apple_key(files.p8(), key_id="ABC123DEFG", team_id="TEAM123456")
    services.credential_add(app=app, parsed=parsed)
    assert steps(ada)[2] == "Done"
    ServerKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
    assert steps(ada) == ["Done", "Done", "Done", "To do", "Done"]


@pytest.mark.parametrize("end", [{"revoked_at": timezone.now()}, {"expires_at": timezone.now()}])
def test_a_key_that_is_in_use_no_more_makes_no_step_green_however_much_it_was_used(
    ada: Client, customer: Customer, end: dict[str, datetime]
) -> None:
    server = services.server_add(customer=customer, name="chat").row
    services.key_add(server=server)
    ServerKey.objects.update(last_used_at=timezone.now())
    assert steps(ada) == ["Done", "Done", "To do", "To do", "Done"]
    ServerKey.objects.update(**end)
    assert steps(ada) == ["Done", *["To do"] * 4]
    text = ada.get("/c/acme/").content.decode()
    assert "No key is in use: every one was revoked or has expired" in text
    assert "Pushes came with a key that is refused now: enter the new one." in text
    services.key_add(server=server)
    assert steps(ada) == ["Done", "Done", *["To do"] * 3]


def test_who_only_looks_is_led_to_no_step(ada: Client, customer: Customer) -> None:
    button = '<a class="button primary" href="/c/acme/servers/">Add server</a>'
    assert button in ada.get("/c/acme/").content.decode()
    text = browser(customer, "viewer").get("/c/acme/").content.decode()
    assert button not in text
    assert "An owner or an admin takes these steps." in text


def test_the_operators_apps_count_where_they_may_be_used(ada: Client, customer: Customer) -> None:
    services.app_add(label="apple_rn", topic="com.mattermost.rn")
    assert steps(ada)[2] == "To do"
    customer.entitlement.may_use_shared = True
    customer.entitlement.save()
    assert steps(ada)[2] == "Done"


def test_without_pushes_the_page_says_so(ada: Client) -> None:
    assert "No push has come in the last week" in ada.get("/c/acme/").content.decode()
