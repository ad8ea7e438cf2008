"""The second fence alone: the models' manager is left out and the database asked directly, as the pages' role."""

import copy

import pytest
from django.contrib.auth.models import User

from tenants import fence, scope
from tenants.audit import recording
from tenants.models import Invitation, Membership, Role
from tests.browsing import Tenant, member
from tests.roles import PAGES, WORKER, acting_as
from tests.tenants.two_customers import DIGEST, NOW, TABLES, Cast, count, page_of, refused, sql, two_customers

pytestmark = pytest.mark.django_db
OF_NOBODY = {"billing_subscriber", "billing_notice", "billing_roundfailure"}


@pytest.fixture(scope="module")
def made(kept_rows: None) -> Cast:
    return two_customers()


@pytest.fixture
def cast(made: Cast, db: None) -> Cast:
    return copy.deepcopy(made)


def test_every_fenced_table_has_policies_and_the_tables_with_policies_are_all_looked_at_here() -> None:
    secured = {
        name
        for (name,) in sql(
            "SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace"
        )
    }
    # A view shows what its tables' policies let whoever asks see.
    # Of no tenant, and no page's but staff's and a mailed link's (tests/billing/test_hostile_customer.py).
    assert secured >= OF_NOBODY
    secured -= OF_NOBODY
    assert secured == {model._meta.db_table.removesuffix("_now") for model in fence.tenant_models()}
    assert secured == {*(name.removesuffix("_now") for name in TABLES), "tenants_pushapp"}
    assert secured | OF_NOBODY == {name for (name,) in sql("SELECT DISTINCT tablename FROM pg_policies")}


@pytest.mark.parametrize("table", TABLES)
def test_without_a_scope_there_is_no_row(table: str, cast: Cast) -> None:
    assert count(table) >= 2
    with acting_as(PAGES):
        assert count(table) == 0


@pytest.mark.parametrize("table", TABLES)
def test_in_a_customers_scope_there_are_its_rows_alone(table: str, cast: Cast) -> None:
    for one in (cast.acme, cast.cosmos):
        with page_of(one):
            assert count(table) == TABLES[table]
    with acting_as(PAGES), scope.customer(10**9):
        assert count(table) == 0


@pytest.mark.parametrize("table", [*TABLES, "tenants_pushapp"])
def test_staff_and_workers_see_every_row(table: str, cast: Cast) -> None:
    everything = count(table)
    with acting_as(PAGES), scope.staff():
        assert count(table) == everything
    with acting_as(WORKER):
        assert count(table) == everything


def test_the_rows_of_a_scope_are_those_of_its_customer(cast: Cast) -> None:
    """The guard of the tests above: it is not any row that is counted."""
    with page_of(cast.acme):
        assert sql("SELECT slug FROM tenants_customer") == [("acme",)]
        assert sql("SELECT mattermost_id FROM tenants_sighting") == [("Acme",)]
        assert sql("SELECT trace FROM delivery_delivery") == [("trace-Acme",)]
        assert sql("SELECT target FROM tenants_auditevent") == [("Acme",)]


def test_shared_apps_can_be_read_in_any_customers_scope_and_changed_in_none(cast: Cast) -> None:
    with page_of(cast.acme):
        assert sql("SELECT label FROM tenants_pushapp ORDER BY label") == [("apple_own",), ("apple_shared",)]
        assert sql("UPDATE tenants_pushapp SET topic = 'y' WHERE customer_id IS NULL") == [0]
        assert sql("SELECT key_id FROM tenants_credential") == [("Acme",)]
        with refused():
            sql("UPDATE tenants_credential SET app_id = %s", cast.shared.pk)
        with refused():
            sql("UPDATE tenants_pushapp SET customer_id = NULL")
    with acting_as(PAGES):
        assert count("tenants_pushapp") == 0


def test_nothing_of_another_customer_can_be_made_or_changed(cast: Cast) -> None:
    theirs = cast.cosmos
    with page_of(cast.acme):
        for statement, values in (
            ("INSERT INTO tenants_server (customer_id, name, public_id, networks, anonymous, created_at) "
             "VALUES (%s, 'x', gen_random_uuid(), '{}', false, now())", [theirs.customer.pk]),
            ("UPDATE tenants_server SET customer_id = %s", [theirs.customer.pk]),
            ("UPDATE tenants_serverkey SET server_id = %s", [theirs.server.pk]),
            ("UPDATE tenants_serverid SET server_id = %s", [theirs.server.pk]),
            ("UPDATE tenants_invitation SET customer_id = %s", [theirs.customer.pk]),
            ("UPDATE tenants_membership SET customer_id = %s", [theirs.customer.pk]),
            ("INSERT INTO tenants_auditevent (customer_id, actor_kind, actor, action, target, details) "
             "VALUES (%s, 'staff', '', '', '', '{}')", [theirs.customer.pk]),
        ):  # fmt: skip
            with refused():
                sql(statement, *values)
        for statement in (
            "UPDATE tenants_server SET name = 'x' WHERE customer_id = %s",
            "UPDATE tenants_customer SET name = 'x' WHERE id = %s",
            "DELETE FROM tenants_membership WHERE customer_id = %s",
            "UPDATE tenants_entitlement SET rate = 9, burst = 9 WHERE customer_id = %s",
        ):
            assert sql(statement, theirs.customer.pk) == [0], statement


@pytest.mark.parametrize(
    "column", ["status = 'active'", "offer = 'eas'", "slug = 'other'", "status = 'suspended', offer = 'eas'"]
)
def test_a_customer_cannot_change_what_was_agreed_on(cast: Cast, column: str) -> None:
    with page_of(cast.acme):
        assert sql("UPDATE tenants_customer SET status = 'suspended'") == [1]  # asking for its erasure does
        assert sql("UPDATE tenants_customer SET name = 'New', content = 'generic', status = status") == [1]
        with refused():
            sql(f"UPDATE tenants_customer SET {column}")  # noqa: S608
    with acting_as(PAGES), scope.staff():
        assert sql(f"UPDATE tenants_customer SET {column} WHERE id = %s", cast.acme.customer.pk) == [1]  # noqa: S608
    with acting_as(WORKER):
        assert sql("SELECT count(*) FROM tenants_customer WHERE name = 'New'") == [(1,)]


def test_a_customer_cannot_confirm_a_server_id_nor_put_one_in_the_place_of_one_that_is(cast: Cast) -> None:
    with page_of(cast.acme):
        with refused():
            sql("UPDATE tenants_serverid SET confirmed_at = now()")
        with refused():
            sql("INSERT INTO tenants_serverid (server_id, mattermost_id, created_at, confirmed_at) "
                "VALUES (%s, 'victim', now(), now())", cast.acme.server.pk)  # fmt: skip
        assert sql("UPDATE tenants_serverid SET mattermost_id = 'typed'") == [1]
    with acting_as(PAGES), scope.staff():
        assert sql("UPDATE tenants_serverid SET confirmed_at = now() WHERE mattermost_id = 'typed'") == [1]
    with page_of(cast.acme):
        with refused():
            sql("UPDATE tenants_serverid SET mattermost_id = 'victim'")
        assert sql("DELETE FROM tenants_serverid") == [1]


def test_a_customer_cannot_entitle_itself_nor_make_customers(cast: Cast) -> None:
    with page_of(cast.acme):
        for column in ("rate = 9, burst = 9", "may_use_shared = NOT may_use_shared", "may_use_server_id = true"):
            with refused():
                sql(f"UPDATE tenants_entitlement SET {column}")  # noqa: S608
        for column in ("refusal = ''", "may_grow = true"):  # what follows from its subscription, in that one's turn
            with refused():
                sql(f"UPDATE tenants_entitlement SET {column}")  # noqa: S608
        with refused():
            sql("INSERT INTO tenants_customer (name, slug, status, offer, content, contacts, created_at) "
                "VALUES ('x', 'x', 'active', 'hpns', 'as_sent', '{}', now())")  # fmt: skip


def join(user: User, one: Tenant, role: str) -> None:
    sql(
        "INSERT INTO tenants_membership (user_id, customer_id, role, created_at) VALUES (%s, %s, %s, now())",
        *(user.pk, one.customer.pk, role),
    )


def test_a_person_sees_their_own_memberships_and_those_customers(cast: Cast) -> None:
    with acting_as(PAGES), scope.person(cast.ada.pk):
        assert sql("SELECT user_id FROM tenants_membership") == [(cast.ada.pk,)]
        assert sql("SELECT slug FROM tenants_customer") == [("acme",)]
        assert count("tenants_server") == count("tenants_invitation") == count("delivery_delivery") == 0
        with refused():
            join(cast.ada, cast.cosmos, "owner")


def test_an_invitation_makes_the_one_membership_that_it_speaks_of(cast: Cast) -> None:
    other = member("other", cast.cosmos.customer, Role.OWNER)
    with acting_as(PAGES), scope.invitation(DIGEST["Cosmos"], cast.ada.pk):
        assert sql("SELECT slug FROM tenants_customer ORDER BY slug") == [("acme",), ("cosmos",)]
        assert count("tenants_invitation") == 1
        assert count("tenants_server") == 0
        for user, one, role in ((cast.ada, cast.cosmos, "owner"), (other, cast.acme, "viewer")):
            with refused():
                join(user, one, role)
        join(cast.ada, cast.cosmos, "viewer")
        with recording.acting(recording.Actor("member", "ada", cast.ada.pk)):
            recording.record("invitation.accept", customer=cast.cosmos.customer)
        with refused():
            recording.record("invitation.accept", customer=cast.acme.customer)
    assert Membership.objects.filter(user=cast.ada, customer=cast.cosmos.customer, role="viewer").exists()


@pytest.mark.parametrize(
    "change",
    [{"withdrawn_at": NOW}, {"expires_at": NOW}, {"accepted_at": NOW}],
    ids=["withdrawn", "expired", "accepted before"],
)
def test_a_dead_invitation_makes_none(cast: Cast, change: dict[str, str]) -> None:
    Invitation.objects.filter(customer=cast.cosmos.customer).update(**change)
    with acting_as(PAGES), scope.invitation(DIGEST["Cosmos"], cast.ada.pk), refused():
        join(cast.ada, cast.cosmos, "viewer")


def test_the_digest_of_no_invitation_shows_nothing(cast: Cast) -> None:
    with acting_as(PAGES), scope.invitation(b"x" * 32):
        assert count("tenants_invitation") == count("tenants_customer") == 0


# --- The log


def test_a_partition_cannot_be_named(cast: Cast) -> None:
    with page_of(cast.acme), refused():
        sql("SELECT * FROM delivery_other_days")


def fill_the_log() -> None:
    """Other customers' rows, enough that a plan does not hang on what the table held, or was known to hold, before."""
    of_the_log = "FROM information_schema.columns WHERE table_name = 'delivery_delivery'"
    names = [name for (name,) in sql(f"SELECT column_name {of_the_log}")]
    others = ", ".join(f'"{name}"' for name in names if name not in ("trace", "accepted_at", "customer_id"))
    columns = f"trace || n, accepted_at - n * interval '1 second', customer_id + 1000 + n, {others}"
    rows = f"SELECT {columns} FROM delivery_delivery, generate_series(1, 2000) n"  # noqa: S608
    sql(f"INSERT INTO delivery_delivery (trace, accepted_at, customer_id, {others}) {rows}")
    sql("ANALYZE delivery_delivery")


def plan(statement: str) -> str:
    return "\n".join(line for (line,) in sql(f"EXPLAIN {statement}"))


def test_the_log_of_a_customer_and_of_all_is_found_by_an_index_without_help_of_the_query(cast: Cast) -> None:
    fill_the_log()
    sql("SET LOCAL enable_seqscan = off")
    with page_of(cast.acme):
        found = plan("SELECT trace FROM delivery_delivery ORDER BY accepted_at DESC LIMIT 50")
        assert "Index Cond: ((customer_id >=" in found, found
        found = plan("SELECT FROM delivery_delivery WHERE accepted_at > now() - interval '1 day' AND customer_id = 7")
        assert "accepted_at >" in found.partition("Index Cond")[2], found
    with acting_as(PAGES), scope.staff():
        found = plan("SELECT trace FROM delivery_delivery WHERE accepted_at > now() - interval '1 day'")
        assert "Index Cond: (accepted_at" in found or "(accepted_at >" in found.partition("Index Cond")[2], found
