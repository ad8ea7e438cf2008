"""A refused credential: which one signs next in this process, and how the others and the people hear of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import redis
from django.core import mail as outbox
from django.db import connections

from billing import customers
from delivery.outcomes.verdict import ANSWERED, NOT_SENT, Attempt
from delivery.providers import table
from delivery.worker import credential_reports, refusal_incidents
from delivery.worker.credential_reports import Report, Reporter, record_fault
from delivery.worker.routes import Route, Routes
from tenants import services
from tenants.credentials import mails
from tenants.directory.live import Directory
from tenants.models import AuditEvent, Credential, Customer, PushApp
from tenants.providers import apple_files
from tenants.providers.base import Parsed
from tests.sessions import session
from tests.tenants import files

pytestmark = pytest.mark.django_db(transaction=True)
PLATFORM = "apple_own-v2"


def key(key_id: str) -> Parsed:
    return apple_files.apple_key(files.p8(), key_id=key_id, team_id="TEAM123456")


@pytest.fixture
def acme(valkey: redis.Redis) -> Customer:
    """A customer with contacts."""
    acme = customers.add(name="Acme", offer="eas").row
    return services.customer_contacts(customer=acme, contacts=["ada@acme.example"]).row


@pytest.fixture
def app(acme: Customer) -> PushApp:
    """Its app, with a credential in either slot."""
    app = services.app_add(label="apple_own", topic="com.example.app", customer=acme).row
    services.credential_add(app=app, parsed=key("CURRENT123"))
    services.credential_add(app=app, parsed=key("WAITING123"), slot="next")
    return app


def ids(app: PushApp) -> tuple[int, int]:
    """The ids of the current and the next credential."""
    there = dict(Credential.objects.filter(app=app).values_list("slot", "pk"))
    return there["current"], there["next"]


@pytest.fixture
def routes(app: PushApp) -> Routes:
    """The routes of a process that has just read the directory."""
    directory = Directory()
    directory.load()
    return Routes(directory)


def signer(route: Route) -> int:
    assert route.target is not None
    return route.target.credential_id


def test_a_route_knows_its_spare_and_opens_it_only_when_asked(routes: Routes, app: PushApp, acme: Customer) -> None:
    current, waiting = ids(app)
    route = routes.find(acme.pk, PLATFORM)
    assert signer(route) == current
    assert list(routes._targets) == [(app.pk, current)]
    spare = routes.spare(route)
    assert spare is not None
    assert (spare.credential_id, spare.secret["key_id"], spare.topic) == (waiting, "WAITING123", "com.example.app")
    assert routes.spare(route) is spare


def test_after_falling_back_the_spare_signs_and_there_is_no_other(routes: Routes, app: PushApp, acme: Customer) -> None:
    current, waiting = ids(app)
    routes.fall_back(app.pk, current)
    route = routes.find(acme.pk, PLATFORM)
    assert signer(route) == waiting
    assert routes.spare(route) is None


def test_once_the_directory_knows_of_it_its_word_holds_again(routes: Routes, app: PushApp, acme: Customer) -> None:
    current, waiting = ids(app)
    routes.fall_back(app.pk, current)
    services.credential_record_fault(app_id=app.pk, credential_id=current, code="x", spare_id=waiting)
    routes.directory.load()
    route = routes.find(acme.pk, PLATFORM)
    assert (signer(route), routes.spare(route)) == (waiting, None)
    row = Credential.objects.get(pk=current)
    services.credential_checked(credential=row, code="ok", good=True, is_key_fault=False)
    services.credential_promote(app=app, expected_id=current)
    routes.directory.load()
    route = routes.find(acme.pk, PLATFORM)
    assert signer(route) == current, "whoever promotes it again means it"


def test_an_opened_credential_that_no_push_asks_for_is_forgotten_and_one_in_use_stays_the_same(
    routes: Routes, app: PushApp, acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.worker.routes.FORGET_SECONDS", -1.0)
    current, waiting = ids(app)
    route = routes.find(acme.pk, PLATFORM)
    used, spare = route.target, routes.spare(route)
    for _ in range(2):
        routes.directory.load()
        assert routes.find(acme.pk, PLATFORM).target is used
    known = {**routes._earlier, **routes._targets}
    assert (set(known), spare is None) == ({(app.pk, current)}, False), f"{waiting} was not asked for since"


def test_a_spare_that_cannot_be_opened_is_none(routes: Routes, app: PushApp, acme: Customer) -> None:
    Credential.objects.filter(app=app, slot="next").update(sealed="v1:other:x")
    routes.directory.load()
    assert routes.spare(routes.find(acme.pk, PLATFORM)) is None


def refusal(detail: str = "") -> Attempt:
    return Attempt("apns", "h", 403, "InvalidProviderToken", ANSWERED, 0.0, 1, detail=detail)


@pytest.fixture
async def reporter(app: PushApp, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reporter]:
    """A reporter that runs, and holds reports back for a moment only."""
    monkeypatch.setattr(refusal_incidents, "HOLD", 0.2)
    made = Reporter(asyncio.get_running_loop())
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    connections.close_all()


async def until(done: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(_look, done):
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def _look(done: Callable[[], object]) -> object:
    try:
        return done()
    finally:
        connections.close_all()


async def test_an_accepted_spare_changes_the_slots_once_and_is_told_by_one_mail(
    reporter: Reporter, app: PushApp
) -> None:
    current, waiting = await asyncio.to_thread(_look, lambda: ids(app))  # type: ignore[misc]
    report = Report(app.pk, current, "apns_invalid_provider_token", waiting)
    reporter.report(report)
    reporter.report(report)
    await until(lambda: outbox.outbox)
    assert await asyncio.to_thread(_look, lambda: ids(app)) == (waiting, current)
    again = await asyncio.to_thread(record_fault, report)
    assert again is not None
    assert not again.news, "another process tells the same"
    [mail] = outbox.outbox
    assert mail.to == ["ada@acme.example"]
    assert mail.subject == "Apple refuses a key of the app apple_own, the other one is in use"
    assert "Apple token key TEAM123456/CURRENT123" in mail.body
    assert "go on with the Apple token key TEAM123456/WAITING123" in mail.body
    count = AuditEvent.objects.filter(action="credential.fall_back").count
    assert await asyncio.to_thread(_look, count) == 1


async def test_a_report_that_cannot_be_written_yet_stands_in_the_way_of_no_other(
    reporter: Reporter, app: PushApp, acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add_app() -> tuple[int, int]:
        added = services.app_add(label="apple_other", topic="com.example.other", customer=acme).row
        return added.pk, services.credential_add(app=added, parsed=key("OTHER12345")).row.pk

    other_app, other = await asyncio.to_thread(_look, add_app)  # type: ignore[misc]
    current, _ = await asyncio.to_thread(_look, lambda: ids(app))  # type: ignore[misc]
    monkeypatch.setattr(credential_reports, "PAUSE", 0.05)
    options = connections["default"].settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "options", f"{options['options']} -c lock_timeout=100ms")
    refused = Credential.objects.exclude(refused_at=None).values_list("pk", flat=True)
    with session("SELECT 1 FROM tenants_credential WHERE app_id = %s FOR UPDATE", app.pk):
        reporter.report(Report(app.pk, current, "apns_invalid_provider_token"))
        reporter.report(Report(other_app, other, "apns_invalid_provider_token"))
        await until(lambda: list(refused.all()) == [other])
    await until(lambda: set(refused.all()) == {current, other})


async def test_a_report_that_cannot_be_written_down_by_our_own_fault_holds_up_no_other(
    reporter: Reporter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    written: list[int] = []

    def fails_for_the_first(report: Report) -> None:
        if report.credential_id == 1:
            raise ZeroDivisionError
        written.append(report.credential_id)

    monkeypatch.setattr(credential_reports, "record_fault", fails_for_the_first)
    reporter.report(Report(1, 1, "apns_invalid_provider_token"))
    reporter.report(Report(1, 2, "apns_invalid_provider_token"))
    await until(lambda: written)
    assert written == [2]
    assert "the refused credential 1 cannot be written down" in caplog.text


def test_a_refusal_is_reported_with_what_came_of_the_spare(routes: Routes, app: PushApp, acme: Customer) -> None:
    route = routes.find(acme.pk, PLATFORM)
    spare = routes.spare(route)
    assert route.target is not None
    assert spare is not None
    reporter = Reporter(asyncio.new_event_loop())
    sent = Attempt("apns", "h", 200, "", ANSWERED, 0.0, 1)
    busy = Attempt("apns", "h", 503, "ServiceUnavailable", ANSWERED, 0.0, 1)
    assert not reporter.spare_tried(route.target, spare, refusal(), busy)
    assert reporter._waiting.popitem()[1].spare_id == 0
    assert reporter.spare_tried(route.target, spare, refusal(), sent)
    reporter.report_fault(route.target, refusal(), table.judge(refusal()))
    assert reporter._waiting.popitem()[1].spare_id == spare.credential_id, "the weaker word came later"
    reporter._loop.close()


@pytest.mark.parametrize(
    ("attempt", "reported"),
    [
        (refusal(), True),
        (refusal("our clock is 7200 s ahead"), False),
        (Attempt("apns", "h", 403, "InvalidProviderToken/iat", ANSWERED, 0.0, 1), False),
        (Attempt("apns", "h", 403, "ExpiredProviderToken", ANSWERED, 0.0, 1), False),
        (Attempt("fcm", "h", 0, "credential", NOT_SENT, 0.0, 0, detail="400 invalid_grant"), True),
    ],
)
def test_a_key_is_not_said_to_be_bad_while_our_clock_may_be_why(
    routes: Routes, acme: Customer, attempt: Attempt, reported: bool
) -> None:
    route = routes.find(acme.pk, PLATFORM)
    spare = routes.spare(route)
    assert route.target is not None
    assert spare is not None
    reporter = Reporter(asyncio.new_event_loop())
    reporter.report_fault(route.target, attempt, table.judge(attempt))
    assert bool(reporter._waiting) is reported
    reporter = Reporter(reporter._loop)
    sent = Attempt(attempt.provider, "h", 200, "", ANSWERED, 0.0, 1)
    assert reporter.spare_tried(route.target, spare, attempt, sent) is reported, "nor when the other one is accepted"
    assert bool(reporter._waiting) is reported
    reporter._loop.close()


def test_a_refusal_without_a_spare_is_told_with_what_to_do(app: PushApp) -> None:
    current, _ = ids(app)
    services.credential_remove(app=app)
    fault = record_fault(Report(app.pk, current, "apns_forbidden"))
    assert fault is not None
    mails.credential_fault(fault.credential, fault.spare)
    [mail] = outbox.outbox
    assert mail.subject == "Apple refuses the key of the app apple_own: pushes fail"
    assert "upload another one" in mail.body
    assert "apns_forbidden" in mail.body
