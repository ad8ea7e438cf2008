"""A customer is erased: all of it, nobody else, in an order that an interruption leaves to be done again."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, models, transaction

from billing import customers, entitlements
from billing.erasing import KEPT_BY_LAW
from billing.erasing import ROWS as BILLING
from billing.invoices.erasing import KEPT, forget
from delivery.log import erasing
from hpns.database_roles import WORKER
from tenants import fence
from tenants.audit import recording
from tenants.directory import version_stamp
from tenants.directory.live import Directory
from tenants.models import AuditEvent, Customer, Entitlement, Membership, PushApp, Role, Server
from tenants.services.erasing import ROWS
from tests.browsing import Browser, member
from tests.roles import acting_as
from tests.tenants.test_row_level_security import join
from tests.tenants.two_customers import TABLES, Cast, count, page_of, refused, sql, two_customers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def cast(valkey: redis.Redis) -> Cast:
    """Acme is suspended."""
    made = two_customers()
    customers.suspend(customer=made.acme.customer, reason="unpaid")
    return made


# What delivery/log/erasing.py deletes.
DELIVERY = ("Delivery", "Receipt", "Minute", "Hour", "Day")


def run(verb: str, *words: str) -> Any:
    out = io.StringIO()
    call_command("customer", verb, *words, stdout=out)
    return json.loads(out.getvalue())


def erase() -> Any:
    return run("erase", "--slug", "acme", "--yes-erase", "acme")


def everything() -> dict[str, list[str]]:
    """Every row of every table, as text."""
    tables = sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename !~ '^delivery_[o0-9]'")
    return {name: sorted(text for (text,) in sql(f'SELECT t::text FROM "{name}" t')) for (name,) in tables}  # noqa: S608


# --- What goes and what stays


def test_nothing_of_the_customer_is_left_and_everything_of_others_is(cast: Cast) -> None:
    report = erase()
    assert report["erased"] is True
    assert report["deleted"]["deliveries"] == 1
    assert report["deleted"]["accounts"] == 2
    # The operator's own, and what the law keeps of the erased customer.
    shared = {"tenants_credential": 1, "billing_invoice": 1, "billing_invoicefile": 1, "billing_ledgerentry": 1}
    for table, cosmos in TABLES.items():
        if table != "tenants_auditevent":
            assert count(table) == cosmos + shared.get(table, 0), table
    # What was counted of it is taken out of the sums of all customers as well.
    assert [sum(found) for found in zip(*sql("SELECT pushes, acked FROM delivery_service_hour"), strict=True)] == [1, 0]
    assert list(Customer.objects.all()) == [cast.cosmos.customer]
    assert list(PushApp.objects.filter(customer=None)) == [cast.shared]
    assert AuditEvent.objects.filter(customer_id=cast.cosmos.customer.pk, target="Cosmos").count() == 1
    left = json.dumps(everything())
    for word in ("chat.acme.example", "Acme0000", "trace-Acme", "owner-acme"):
        assert word not in left


def test_a_plan_says_what_would_go_and_changes_nothing(cast: Cast) -> None:
    before = everything()
    report = run("erase", "--slug", "acme")
    assert everything() == before
    assert report["erased"] is False
    assert report["deletes"]["servers"] == 1
    assert report["deletes"]["deliveries"] == 1
    assert report["deletes"]["accounts"] == ["owner-acme@acme.example", "viewer-acme@acme.example"]
    assert report["keeps"] == {"audit events of what was agreed on, without persons": 1, KEPT: 1}
    assert report["cannot_reach"] == "backups that were made before"


def test_a_customer_that_is_served_is_not_erased(cast: Cast) -> None:
    for words in ((), ("--yes-erase", "cosmos")):
        with pytest.raises(CommandError, match="cosmos is served: suspend it first"):
            run("erase", "--slug", "cosmos", *words)
    # Nor one that was resumed at the last moment.
    Customer.objects.filter(pk=cast.acme.customer.pk).update(status="active")
    with pytest.raises(Exception, match="acme is served"):
        customers.erase(customer=cast.acme.customer)
    assert count("tenants_customer") == 2


def test_the_slug_is_said_twice_or_nothing_is_done(cast: Cast) -> None:
    with pytest.raises(CommandError, match="nothing was erased"):
        run("erase", "--slug", "acme", "--yes-erase", "cosmos")
    assert count("tenants_customer") == 2


def test_each_kind_of_row_is_known_to_the_erasure() -> None:
    """A new model that belongs to a customer has to be put into ROWS, or somewhere else on purpose."""
    known = {model for model, _ in (*BILLING, *ROWS)}
    assert {model for model in fence.tenant_models() if model not in known} == {
        *(Customer, Entitlement, AuditEvent, *(apps.get_model("delivery", name) for name in DELIVERY)),
        # What delivery/devices/forgetting.py deletes.
        *(apps.get_model("delivery", name) for name in ("Device", "ActiveDevice", "DeviceCount", "PlatformSighting")),
        # What the law keeps.
        *KEPT_BY_LAW,
    }
    pointing = {
        model
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.ForeignKey) and issubclass(field.related_model, fence.TenantModel)  # type: ignore[arg-type]
    }
    assert pointing <= set(fence.tenant_models())


def test_the_keys_are_unknown_to_every_process_at_once(cast: Cast, valkey: redis.Redis) -> None:
    before, directory = version_stamp.current(valkey), Directory()
    directory.load()
    assert directory.find("Acme0000") is not None
    with transaction.atomic():
        erase()
    version_stamp.bump()  # what the commit does, which a test does not
    directory.load()
    assert version_stamp.current(valkey) > before
    assert directory.find("Acme0000") is None
    assert directory.find("Cosmos00") is not None


# --- People


def test_accounts_go_whose_people_belong_to_nobody_else(cast: Cast) -> None:
    ada = cast.ada
    EmailAddress.objects.create(user=ada, email=ada.email, verified=True, primary=True)
    Authenticator.objects.create(user=ada, type="totp", data={})
    browser = Browser().enter(ada)
    UserSession.objects.create(user=ada, session_key=browser.session.session_key, ip="127.0.0.1", user_agent="x")
    elsewhere = member("elsewhere", cast.acme.customer, Role.ADMIN)
    join(elsewhere, cast.cosmos, "viewer")
    operator = member("operator", cast.acme.customer, Role.OWNER)
    User.objects.filter(pk=operator.pk).update(is_staff=True)
    erase()
    assert not User.objects.filter(pk=ada.pk).exists()
    for model in (EmailAddress, Authenticator, UserSession, Session):
        assert not model.objects.exists(), model
    assert set(User.objects.filter(pk__in=[elsewhere.pk, operator.pk])) == {elsewhere, operator}
    assert Membership.objects.get(user=elsewhere).customer == cast.cosmos.customer


# --- The audit log


def test_what_was_agreed_on_is_kept_without_persons_and_the_rest_goes(cast: Cast) -> None:
    acme, ada = cast.acme.customer, recording.Actor("member", cast.ada.email, cast.ada.pk, "192.0.2.1")
    other = recording.Actor("member", "viewer-acme@acme.example", 4711, "192.0.2.2")
    boss = recording.Actor("staff", "staff@example.com", 1, "192.0.2.3")
    with recording.acting(ada):
        recording.record("erasure.ask", customer=acme, target="Acme")
        recording.record("key.add", customer=acme, target="hk_x")
        recording.record("account.log_in", customer=None, target=cast.ada.email, target_id=cast.ada.pk)
    with recording.acting(other):
        recording.record("subscription.change", customer=acme, target=cast.ada.email.upper(), target_id=cast.ada.pk)
    with recording.acting(boss):
        customers.suspend(customer=acme, reason="unpaid")
        entitlements.change(customer=acme, rate=7, burst=7)
        recording.record("offer.change", customer=acme, target="Acme", reason=f"as <{cast.ada.email}> wished, 7 times")
    erase()
    kept = AuditEvent.objects.filter(customer_id=acme.pk).order_by("pk")
    assert [(event.action, event.actor, event.actor_id, event.target, event.target_id) for event in kept] == [
        ("customer.suspend", "the service", None, "Acme", None),
        ("erasure.ask", "erased person 1", None, "Acme", None),
        ("subscription.change", "erased person 2", None, "erased person 1", None),
        ("limit.change", "staff@example.com", 1, "rate", None),
        ("limit.change", "staff@example.com", 1, "burst", None),
        ("offer.change", "staff@example.com", 1, "Acme", None),
        ("customer.erase", kept[6].actor, None, "Acme", None),
    ]
    assert kept[6].actor.startswith("manage.py customer erase (")
    assert kept[5].details == {"reason": "as <erased person 1> wished, 7 times"}
    assert {event.address for event in kept} == {None}
    assert [row for rows in everything().values() for row in rows if "owner-acme" in row] == []


def test_the_log_is_as_closed_afterwards_as_before(cast: Cast) -> None:
    erase()
    with pytest.raises(ProgrammingError, match="only added"), transaction.atomic():
        AuditEvent.objects.update(target="x")
    with pytest.raises(ProgrammingError, match="only added"), transaction.atomic():
        AuditEvent.objects.all().delete()


@pytest.mark.parametrize("step", [lambda acme: erasing.erase(acme.pk), lambda acme: customers.erase(customer=acme)])
def test_no_role_of_the_running_service_can_erase_a_customer(cast: Cast, step: Callable[[Customer], object]) -> None:
    with refused(), page_of(cast.acme):
        step(cast.acme.customer)
    with acting_as(WORKER), refused():
        step(cast.acme.customer)
    assert count("tenants_customer") == 2


# --- Interruptions


def test_an_erasure_that_broke_off_is_done_again_by_the_same_command(cast: Cast) -> None:
    sql("CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'power cut'; END $$")
    sql("CREATE TRIGGER breaks BEFORE DELETE ON tenants_customer FOR EACH ROW EXECUTE FUNCTION breaks()")
    with pytest.raises(CommandError, match="power cut"):
        erase()
    assert count("tenants_server") == 2  # what is of one transaction is whole
    assert sql("SELECT count(*) FROM delivery_delivery WHERE customer_id = %s", cast.acme.customer.pk) == [(0,)]
    assert not AuditEvent.objects.filter(action="customer.erase").exists()
    sql("DROP TRIGGER breaks ON tenants_customer")
    assert erase()["erased"] is True
    assert not Server.objects.filter(customer_id=cast.acme.customer.pk).exists()


def test_the_log_goes_in_small_steps_from_every_day(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "BATCH_SIZE", 2)
    for one in (cast.acme, cast.cosmos):
        sql(
            "INSERT INTO delivery_delivery SELECT (jsonb_populate_record(d, jsonb_build_object('trace', d.trace || n, "
            "'accepted_at', now() - (n || ' hours')::interval))).* "
            "FROM delivery_delivery d, generate_series(1, 60, 12) n WHERE customer_id = %s",
            one.customer.pk,
        )
    assert count("delivery_delivery") == 12
    assert erasing.erase(cast.acme.customer.pk) == 6
    assert erasing.erase(cast.acme.customer.pk) == 0
    assert sql("SELECT DISTINCT customer_id FROM delivery_delivery") == [(cast.cosmos.customer.pk,)]


def test_receipts_go_from_every_day_and_others_stay(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "BATCH_SIZE", 2)
    sql(
        "INSERT INTO delivery_receipt SELECT (jsonb_populate_record(r, jsonb_build_object('id', r.id || n, "
        "'received_at', now() - (n || ' days')::interval))).* FROM delivery_receipt r, generate_series(1, 5) n"
    )
    erasing.erase(cast.acme.customer.pk)
    assert sql("SELECT customer_id, count(*) FROM delivery_receipt GROUP BY 1") == [(cast.cosmos.customer.pk, 6)]


def test_documents_are_forgotten_ten_full_years_after_the_youngest(cast: Cast) -> None:
    erase()
    for year, went in ((2036, 0), (2037, 1), (2037, 0)):
        assert forget(now=datetime(year, 1, 1, tzinfo=UTC)) == went
    assert [count(f"billing_{name}") for name in ("invoice", "invoicefile", "ledgerentry")] == [1, 1, 1]
