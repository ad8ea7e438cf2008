"""`manage.py find`: whose a number in a log line is."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from billing import customers
from tenants import services

pytestmark = pytest.mark.django_db


def find(*arguments: str) -> dict[str, Any]:
    """What the command prints."""
    out = io.StringIO()
    call_command("find", *arguments, stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_a_number_in_a_log_line_leads_to_a_customer_and_what_is_theirs() -> None:
    acme = customers.add(name="Acme", offer="eas").row
    server = services.server_add(customer=acme, name="chat.acme.example").row
    app = services.app_add(customer=acme, label="apple_rn", topic="com.example.app").row
    whose = {"customer": "acme", "name": "Acme"}
    assert find("customer", str(acme.pk)) == whose
    assert find("server", str(server.pk)) == {"server": "chat.acme.example", **whose}
    assert find("app", str(app.pk)) == {"app": "apple_rn", "topic": "com.example.app", **whose}


def test_an_app_of_nobodys_is_the_operators() -> None:
    app = services.app_add(label="apple_rn", topic="com.example.app").row
    assert find("app", str(app.pk))["name"] == "(shared)"


@pytest.mark.parametrize("number", ["999999", "acme", "-1", "\u0663"])
def test_a_number_of_nothing_is_said_so(number: str) -> None:
    with pytest.raises((CommandError, SystemExit)):
        find("customer", "--", number)
