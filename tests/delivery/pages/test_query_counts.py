"""How many queries the dearest pages of a customer make: few, and as many for many servers and apps as for one.

Each costs a page about a millisecond, whatever it reads: the tests bound what no measurement on a busy machine can.
"""

from typing import Any

import pytest
from django.db import connection
from django.db.models.sql.compiler import SQLCompiler
from django.test.utils import CaptureQueriesContext

from tenants.models import Credential, PushApp, Server, ServerKey
from tests.browsing import Browser
from tests.delivery.pages.busy import IPHONE, KEY_REFUSED, Pushes
from tests.delivery.rollups.pushes import SENT
from tests.tenants.conftest import Cast

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
DEVICE = "d" * 32
# Statements of each: those of the session, the person and the transactions, too, which are eight.
MOST = {
    "/c/acme/delivery/": 36,
    "/c/acme/delivery/?range=30d": 41,
    "/c/acme/delivery/?range=90d": 39,
    f"/c/acme/delivery/devices/{DEVICE}/": 25,
    "/c/acme/": 36,
    "/c/acme/delivery/PUSH/": 19,
}
# Queries of a delivery page whose SQL Django makes anew each time, about a millisecond for each.
SQL_MADE_MOST = 7


def add(made: Pushes, number: int) -> None:
    """A server with a key and pushes of its own, and an app that it pushes to."""
    acme = made.acme.customer
    server = Server.objects.create(customer=acme, name=f"s{number}")
    ServerKey.objects.create(server=server, prefix=f"{number:08d}", digest=f"{number:032d}".encode())
    app = PushApp.objects.create(
        customer=acme, label=f"app_{number}", topic="x", family="apns", host="production", is_default=False
    )
    Credential.objects.create(app=app, slot=Credential.Slot.CURRENT, kind="apns_key", sealed="v1:x", key_id="K")
    for minutes in (number + 1, number + 90):
        made.write(minutes, SENT, server=server.pk, app=app.pk, device=DEVICE, acked=1.0, **IPHONE)
    made.write(number + 2, KEY_REFUSED, server=server.pk, app=app.pk, device=DEVICE, **IPHONE)


def statements(browser: Browser, address: str) -> list[str]:
    """What a page says to the database."""
    with CaptureQueriesContext(connection) as queries:
        answer: Any = browser.get(address)
    assert answer.status_code == 200
    return [each["sql"] for each in queries]


def test_the_sql_of_what_a_delivery_page_counts_is_made_once(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Pushes(cast.acme)
    add(made, 0)
    made.count()
    assert cast.ada.get("/c/acme/delivery/").status_code == 200
    again: list[str] = []
    as_sql = SQLCompiler.as_sql

    def noted(compiler: SQLCompiler, *args: Any, **options: Any) -> Any:
        again.append(compiler.query.model._meta.label)
        return as_sql(compiler, *args, **options)

    monkeypatch.setattr(SQLCompiler, "as_sql", noted)
    assert cast.ada.get("/c/acme/delivery/").status_code == 200
    # Session, person, devices out of the log, credentials, and the keys of servers whose pushes were refused.
    assert len(again) <= SQL_MADE_MOST, again
    assert not {label for label in again if label in ("delivery.Minute", "delivery.Hour", "delivery.Day")}


@pytest.mark.parametrize("address", MOST)
def test_a_page_makes_few_queries_and_no_more_for_many_servers_and_apps(cast: Cast, address: str) -> None:
    made = Pushes(cast.acme)
    add(made, 0)
    made.count()
    page = address.replace("PUSH", f"{1:012x}-{cast.acme.customer.pk:x}")
    few = statements(cast.ada, page)
    for number in range(1, 12):
        add(made, number)
    made.count()
    many = statements(cast.ada, page)
    # Fewer where a page is full sooner.
    assert len(many) <= len(few), sorted(many)
    assert len(few) <= MOST[address], few
