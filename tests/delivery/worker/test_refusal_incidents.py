"""Many refused credentials of several customers are their provider's incident: nothing follows from a refusal then."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from django.core import mail as outbox
from django.core.cache import cache
from django.db import connections
from django.utils import timezone
from pytest_django import Settings

from billing import customers
from delivery.insight import refusing, refusing_troubles, setup_troubles
from delivery.metrics import counting
from delivery.worker import credential_check, refusal_incidents
from delivery.worker.credential_reports import Report, Reporter, follow_up
from delivery.worker.refusal_incidents import Refusal, current, note
from hpns.staff import needs_of_service
from tenants import scope, services
from tenants.inventory import Inventory
from tenants.models import AuditEvent, Credential, PushApp
from tenants.providers import apple_files
from tests.tenants import files

pytestmark = pytest.mark.django_db(transaction=True)
CODE = "apns_invalid_provider_token"


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    connections.close_all()


def make(customer_count: int, apps: int) -> list[Refusal]:
    """So many customers with so many apps each: what it would be if all their credentials were refused."""
    parsed = apple_files.apple_key(files.p8(), key_id="CURRENT123", team_id="TEAM123456")
    made = []
    for number in range(customer_count):
        customer = customers.add(name=f"Acme {number}", offer="eas").row
        services.customer_contacts(customer=customer, contacts=[f"ada@acme{number}.example"])
        for label in range(apps):
            app = services.app_add(label=f"apple_{label}", topic="com.example.app", customer=customer).row
            made.append(Refusal("apns", app.pk, services.credential_add(app=app, parsed=parsed).row.pk))
    return made


def report_of(refusal: Refusal) -> Report:
    return Report(refusal.app_id, refusal.credential_id, CODE, family=refusal.family)


def marked() -> int:
    return Credential.objects.exclude(refused_at=None).count()


def test_more_than_five_credentials_of_three_customers_are_an_incident_in_which_nothing_is_marked(
    valkey: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    refused = make(3, 2)
    note(valkey, refused[:5])
    assert current(valkey, "apns") is None
    note(valkey, refused)
    incident = current(valkey, "apns")
    assert incident is not None
    assert (incident.credentials, incident.customers) == (6, 3)
    assert "Apple refuses 6 credentials of 3 customers" in caplog.text
    assert [follow_up(report_of(each)) for each in refused] == [incident] * 6
    assert (marked(), AuditEvent.objects.filter(action__startswith="credential.refused").count()) == (0, 0)


def test_another_providers_credentials_are_marked_meanwhile(valkey: redis.Redis) -> None:
    refused = make(3, 2)
    note(valkey, refused)
    assert follow_up(report_of(refused[0])._replace(family="fcm")) is not None
    assert marked() == 1


def test_one_customers_key_in_many_apps_is_no_incident(valkey: redis.Redis) -> None:
    refused = make(1, 10)
    note(valkey, refused)
    assert current(valkey, "apns") is None
    assert follow_up(report_of(refused[0])) is not None


def test_it_ends_when_no_more_are_refused_and_what_is_refused_then_is_marked(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = make(3, 2)
    note(valkey, refused)
    assert current(valkey, "apns") is not None
    seconds, _ = valkey.time()
    monkeypatch.setattr(refusal_incidents, "_now", lambda _store: seconds + refusal_incidents.WINDOW + 5.0)
    assert current(valkey, "apns") is None
    assert follow_up(report_of(refused[0])) is not None
    assert marked() == 1


def test_without_valkey_a_refusal_is_what_it_was(valkey: redis.Redis, settings: Settings) -> None:
    (refused,) = make(1, 1)
    settings.REDIS_URL, settings.REDIS_SOCKET = "redis://127.0.0.1:1/0", ""
    assert follow_up(report_of(refused)) is not None


async def test_what_is_refused_together_is_held_back_until_the_others_are_known_and_nobody_is_written_to(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusal_incidents, "HOLD", 1.0)
    refused = await asyncio.to_thread(make, 3, 2)
    reporter = Reporter(asyncio.get_running_loop())
    running = asyncio.create_task(reporter.run())
    for each in refused:
        reporter.report(report_of(each))
        await asyncio.sleep(0.05)
    async with asyncio.timeout(30):
        while reporter._waiting:
            await asyncio.sleep(0.05)
    assert await asyncio.to_thread(marked) == 0
    assert outbox.outbox == []
    assert reporter._noted == {}
    assert counting.collect().counters["hpns_credential_refusals_held_total", ("apns",)] >= 6
    running.cancel()


async def test_what_two_processes_are_refused_is_one_incident(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusal_incidents, "HOLD", 1.0)
    refused = await asyncio.to_thread(make, 6, 1)
    reporters = [Reporter(asyncio.get_running_loop()) for _ in range(2)]
    running = [asyncio.create_task(each.run()) for each in reporters]
    for number, each in enumerate(refused):  # neither of them sees more than three
        reporters[number % 2].report(report_of(each))
    async with asyncio.timeout(60):
        while any(each._waiting for each in reporters):
            await asyncio.sleep(0.05)
    assert await asyncio.to_thread(marked) == 0
    for task in running:
        task.cancel()


def test_what_is_noted_is_bounded_and_forgotten(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal_incidents, "MOST", 8)
    refused = make(1, 1)
    note(valkey, [refused[0]._replace(credential_id=number) for number in range(100)])
    name = "credentials:refused:apns"
    assert sorted(valkey.keys(f"{name}*")) == [name.encode(), f"{name}:first".encode()]
    assert valkey.zcard(f"{name}:first") == 8
    assert valkey.zcard(name) == 8
    assert 0 < valkey.ttl(name) <= refusal_incidents.WINDOW


def test_keys_that_were_marked_long_ago_and_are_used_still_are_no_incident(valkey: redis.Redis) -> None:
    refused = make(3, 2)
    long_ago = timezone.now() - timedelta(seconds=refusal_incidents.WINDOW + 5)
    Credential.objects.update(refused_at=long_ago, refused_code=CODE)
    note(valkey, refused)
    assert current(valkey, "apns") is None
    assert not valkey.exists("credentials:refused:apns")
    Credential.objects.update(refused_at=timezone.now(), refused_code=CODE)
    note(valkey, refused)
    assert current(valkey, "apns") is not None, "those that were marked a moment ago are of it"


def test_an_incident_began_with_the_first_refusal_of_those_that_it_is_known_by(valkey: redis.Redis) -> None:
    refused = make(3, 3)
    seconds, _ = valkey.time()
    note(valkey, [refused[8]._replace(at=seconds - 290.0)])
    valkey.zadd("credentials:refused:apns", {valkey.zrange("credentials:refused:apns", 0, 0)[0]: seconds - 301.0})
    of_three = [refused[number] for number in (0, 1, 3, 4, 6, 7)]
    note(valkey, [each._replace(at=seconds - 20.0 - number) for number, each in enumerate(of_three[:5])])
    note(valkey, [each._replace(at=seconds - 3.0) for each in of_three])
    incident = current(valkey, "apns")
    assert incident is not None
    assert incident.begun == pytest.approx(seconds - 24.0)
    assert incident.since >= seconds


def test_a_check_by_hand_marks_nothing_in_an_incident_and_says_why(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = make(3, 2)
    refusal = credential_check.Result(CODE, False, True, True, "Apple does not accept the key", "check both ids")
    monkeypatch.setattr(credential_check, "ask", lambda _app: refusal)
    row = Credential.objects.select_related("app__customer").get(pk=refused[0].credential_id)
    note(valkey, refused)
    result = credential_check.check(row)
    assert (result.known, result.is_key_fault, marked()) == (False, False, 0)
    assert result.fix.startswith("nothing to do about the key, for Apple refuses those of many customers at once")
    valkey.delete("credentials:refused:apns")
    assert credential_check.check(row) == refusal
    assert marked() == 1


def test_no_page_asks_for_another_key_for_one_that_was_marked_in_the_incident(valkey: redis.Redis) -> None:
    cache.clear()
    refused = make(3, 2)
    app = PushApp.objects.get(pk=refused[0].app_id)
    assert app.customer is not None
    Credential.objects.filter(app=app).update(refused_at=timezone.now(), refused_code=CODE)

    def told() -> tuple[str, str, str]:
        cache.clear()
        assert app.customer is not None
        with scope.customer(app.customer):
            found = setup_troubles.of_apps(app.customer, Inventory(), timezone.now(), PushApp.objects.get(pk=app.pk))
            (trouble,) = [each for each in found if each.kind == "credential_refused"]
        return trouble.what_to_do.partition(":")[0], trouble.attribution, trouble.action

    assert told() == (
        "Upload a new key, or check that this one is still listed in your Apple account.",
        "customer",
        "Upload a new key",
    )
    note(valkey, [each._replace(at=valkey.time()[0] - 10.0) for each in refused])
    assert told() == ("Leave it as it is", "provider", "See how Apple stands")
    Credential.objects.filter(app=app).update(refused_at=timezone.now() - timedelta(seconds=60))
    assert told()[1] == "customer", "it was refused before the others were"
    cache.clear()


def test_pages_of_customers_and_staff_say_whose_trouble_it_is_while_it_lasts(valkey: redis.Redis) -> None:
    cache.clear()
    refused = make(3, 2)
    acme = customers.add(name="Acme", offer="hpns").row
    with scope.customer(acme):
        assert list(refusing_troubles.of_providers(acme, Inventory())) == []
    cache.clear()
    note(valkey, refused)
    app = PushApp.objects.get(pk=refused[0].app_id)
    assert app.customer is not None
    with scope.customer(app.customer):
        (trouble,) = refusing_troubles.of_providers(app.customer, Inventory(), app)
    assert (trouble.kind, trouble.attribution, trouble.provider) == ("provider_refuses", "provider", "apns")
    assert trouble.told().startswith("Apple refuses the credentials of many customers at once")
    assert "6 credentials of 3 customers" in refusing.sentences(with_counts=True)[0]
    assert "6 credentials" not in refusing.sentences()[0]
    (need,) = needs_of_service.refusing_providers(timezone.now())
    assert (need.kind, need.number) == ("bad", 1)
    cache.clear()
