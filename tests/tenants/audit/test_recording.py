"""The audit log is only added to, whoever asks the database, and however."""

import copy
from hashlib import sha256
from importlib import import_module

import pytest
from django.contrib.auth.models import User
from django.db import ProgrammingError, transaction
from django.db.models import Count
from django.utils import timezone

from tenants import fence, scope
from tenants.audit import recording
from tenants.models import AuditEvent
from tests.browsing import Tenant
from tests.roles import PAGES, WORKER, acting_as
from tests.tenants.two_customers import Cast, count, refused, sql, two_customers

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def made(kept_rows: None) -> Cast:
    return two_customers()


@pytest.fixture
def cast(made: Cast, db: None) -> Cast:
    return copy.deepcopy(made)


@pytest.mark.parametrize("kind", [PAGES, WORKER])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tenants_auditevent SET target = ''",
        "DELETE FROM tenants_auditevent",
        "TRUNCATE tenants_auditevent",
        "ALTER TABLE tenants_auditevent DISABLE TRIGGER ALL",
        "DROP TABLE tenants_auditevent",
    ],
)
def test_no_role_of_the_running_service_changes_the_audit_log(cast: Cast, kind: str, statement: str) -> None:
    with acting_as(kind):
        sql("SELECT set_config('hpns.erasure', 'on', true)")
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), scope.staff():
            sql(statement)
        recording.record("key.add", customer=None)


@pytest.mark.parametrize("statement", ["UPDATE tenants_auditevent SET target = ''", "DELETE FROM tenants_auditevent"])
def test_not_even_the_owner_changes_it_by_accident(cast: Cast, statement: str) -> None:
    sql("SELECT set_config('hpns.erasure', '', true)")
    for each in (statement, "TRUNCATE tenants_auditevent"):
        with refused():
            sql(each)
    sql("SELECT set_config('hpns.erasure', 'on', true)")
    assert sql(statement) == [3]


def test_its_guard_is_the_one_that_databases_have_already() -> None:
    """A migration is not run again: renaming the setting here and in the code alike would leave those databases behind,
    and every erasure would fail on them. Another guard needs another migration."""
    guard = import_module("tenants.migrations.0003_row_level_security").FINAL
    assert sha256(guard.encode()).hexdigest() == "7afe3f9d7d91cb3eb420572c30be2367611f8e3c9dad033a2914d20089bd7f65"


def test_somebody_who_is_not_logged_in_can_be_noted_and_reads_nothing(cast: Cast) -> None:
    with acting_as(PAGES), fence.activate(fence.NOTHING):
        recording.record("account.log_in_limited", customer=None, target="x@example.com")
        assert count("tenants_auditevent") == 0
        with refused():
            recording.record("key.revoke", customer=cast.acme.customer)


def somebody_of(tenant: Tenant) -> User:
    """A member, who is of no other customer."""
    several = User.objects.annotate(of=Count("memberships"))
    return several.filter(memberships__customer=tenant.customer, of=1).order_by("pk")[0]


def test_the_pages_say_neither_when_an_act_was_nor_what_somebody_is_called(cast: Cast) -> None:
    ada = somebody_of(cast.acme)
    with acting_as(PAGES), scope.customer(cast.acme.customer):
        for statement in (
            "INSERT INTO tenants_auditevent (at, actor_kind, actor, action, target, details) "
            "VALUES (now(), 'service', '', 'key.add', '', '{}')",
            "INSERT INTO tenants_auditevent (id, actor_kind, actor, action, target, details) "
            "VALUES (1, 'service', '', 'key.add', '', '{}')",
        ):
            with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
                sql(statement)
        with recording.acting(recording.Actor("member", "somebody else", ada.pk)):
            recording.record("key.add", customer=cast.acme.customer)
    event = AuditEvent.objects.filter(action="key.add").latest("pk")
    assert event.actor == ada.email
    assert abs((timezone.now() - event.at).total_seconds()) < 60


@pytest.mark.parametrize("kind", ["command", "service", "staff", "member of another", "nobody"])
def test_a_page_puts_no_act_of_a_customer_down_to_who_cannot_have_done_it(cast: Cast, kind: str) -> None:
    theirs = somebody_of(cast.cosmos)
    ada = somebody_of(cast.acme)
    actor = {
        "command": recording.Actor("command", "customer erase"),
        "service": recording.SERVICE,
        "staff": recording.Actor("staff", "x", ada.pk),
        "member of another": recording.Actor("member", "x", theirs.pk),
        "nobody": recording.Actor("member", "x", 10**9),
    }[kind]
    with acting_as(PAGES), scope.customer(cast.acme.customer), refused(), recording.acting(actor):
        recording.record("key.revoke", customer=cast.acme.customer)


def test_staff_are_noted_as_staff_and_the_worker_as_the_service(cast: Cast) -> None:
    person = User.objects.create_user("sam", "sam@push.example", is_staff=True)
    with acting_as(PAGES), scope.staff(), recording.acting(recording.Actor("staff", "x", person.pk)):
        recording.record("staff.look", customer=cast.acme.customer)
    assert AuditEvent.objects.get(action="staff.look").actor == "sam@push.example"
    with acting_as(WORKER):
        recording.record("credential.refused", customer=cast.acme.customer)
