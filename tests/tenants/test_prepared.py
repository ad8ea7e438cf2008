"""Queries whose SQL is made once: what they read is of the scope in force, whoever had them made."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from django.db import DataError, connection, transaction
from django.db.models import BigIntegerField, CharField, Exists, Func, IntegerField, TextField, Value
from django.db.models.functions import Cast as CastTo
from django.db.models.sql.compiler import SQLCompiler
from django.test.utils import CaptureQueriesContext

from tenants import fence, prepared, scope
from tenants.fence import Unscoped
from tenants.models import Server, ServerKey
from tenants.prepared import Given, Prepared
from tests.sessions import session
from tests.tenants.conftest import Cast

pytestmark = pytest.mark.django_db


def names(query: Prepared, customer: object, **given: object) -> list[object]:
    """What it reads in the scope of a customer."""
    with fence.activate(fence.NOTHING), scope.customer(customer):  # type: ignore[arg-type]
        return query.rows(**given)


def test_a_prepared_query_reads_the_rows_of_each_scope_that_it_is_run_in(cast: Cast) -> None:
    query = Prepared(lambda: Server.objects.order_by("name").values_list("name"))
    assert names(query, cast.acme.customer) == [("chat.acme.example",)]
    assert names(query, cast.cosmos.customer) == [("chat.cosmos.example",)]
    assert names(query, cast.acme.customer) == [("chat.acme.example",)]


def test_a_subquery_of_a_prepared_query_is_of_the_scope_in_force_too(cast: Cast) -> None:
    # Whether there is such a key at all, in the scope.
    of_prefix = ServerKey.objects.filter(prefix=Given("prefix", CharField()))
    query = Prepared(lambda: Server.objects.filter(Exists(of_prefix)).values_list("name"))
    of_cosmos = cast.cosmos.key.prefix
    assert names(query, cast.acme.customer, prefix=of_cosmos) == []
    assert names(query, cast.cosmos.customer, prefix=of_cosmos) == [("chat.cosmos.example",)]
    with CaptureQueriesContext(connection) as queries:
        names(query, cast.cosmos.customer, prefix=of_cosmos)
    assert f"= {cast.acme.customer.pk}" not in " ".join(each["sql"] for each in queries)


def test_a_prepared_query_that_staff_had_made_is_fenced_for_a_customer(cast: Cast) -> None:
    query = Prepared(lambda: Server.objects.order_by("name").values_list("name"))
    with fence.activate(fence.NOTHING), scope.staff():
        assert len(query.rows()) > 1
    assert names(query, cast.acme.customer) == [("chat.acme.example",)]
    with fence.activate(fence.NOTHING), pytest.raises(Unscoped):
        query.rows()


def test_a_prepared_query_takes_other_values_at_each_run_and_reads_anew(cast: Cast) -> None:
    query = Prepared(
        lambda: (
            ServerKey.objects.filter(server_id=Given("server", BigIntegerField()), server__pk__gt=0)
            .select_related("server")
            .order_by("pk")[:2]
        )
    )
    acme = cast.acme
    assert [row.server.name for row in names(query, acme.customer, server=acme.server.pk)] == ["chat.acme.example"]  # type: ignore[attr-defined]
    assert names(query, acme.customer, server=acme.server.pk + 1_000) == []
    ServerKey.objects.create(server=acme.server, prefix="second00", digest=b"2" * 32)
    assert len(names(query, acme.customer, server=acme.server.pk)) == 2


def test_the_sql_of_a_prepared_query_is_made_once(cast: Cast) -> None:
    query = Prepared(lambda: Server.objects.filter(pk=_SERVER).values_list("name"))
    names(query, cast.acme.customer, server=1)
    with patch.object(SQLCompiler, "as_sql", side_effect=AssertionError("made again")):
        names(query, cast.cosmos.customer, server=2)


# An advisory lock, as a query that takes as long as somebody else holds it.
LOCK = 4_711


def locked() -> Prepared:
    """The names of servers, once nobody else holds the lock."""
    wait = Func(Value(LOCK), function="pg_advisory_xact_lock", output_field=TextField())
    return Prepared(lambda: Server.objects.annotate(waited=wait).values_list("name", "waited"))


@contextmanager
def together_in(customer: object) -> Iterator[None]:
    """Queries that are sent together in the scope of a customer."""
    with fence.activate(fence.NOTHING), scope.customer(customer), prepared.together():  # type: ignore[arg-type]
        yield


def test_queries_that_are_sent_together_read_what_each_reads_alone(cast: Cast) -> None:
    by_name = Prepared(lambda: Server.objects.filter(pk=_SERVER).values_list("name"))
    keys = Prepared(lambda: ServerKey.objects.select_related("server").order_by("pk"))
    with together_in(cast.acme.customer):
        named, none = by_name.later(server=cast.acme.server.pk), by_name.later(server=cast.cosmos.server.pk)
        found = keys.later()
        assert [key.server.name for key in found()] == ["chat.acme.example"]
        assert (named(), none()) == ([("chat.acme.example",)], [])
    assert names(by_name, cast.acme.customer, server=cast.acme.server.pk) == [("chat.acme.example",)], "as ever again"


def test_the_rows_of_the_first_query_are_there_while_the_next_one_goes_on(cast: Cast) -> None:
    quick, slow = Prepared(lambda: Server.objects.values_list("name")), locked()
    with session(f"SELECT pg_advisory_lock({LOCK})") as other, together_in(cast.acme.customer):
        first, second = quick.later(), slow.later()
        assert first() == [("chat.acme.example",)], "it does not wait for the second one"
        assert other.execute(f"SELECT pg_advisory_unlock({LOCK})").fetchall() == [(True,)]
        assert second() == [("chat.acme.example", "")]


def fail_among_others(customer: object, *, ask: bool) -> None:
    """Send two queries, of which the second fails, and ask for the rows of the first; `ask`: and of the second."""
    good = Prepared(lambda: Server.objects.values_list("name"))
    bad = Prepared(lambda: Server.objects.annotate(n=CastTo("name", IntegerField())).values_list("n"))
    with transaction.atomic(), together_in(customer):
        first, failing, _ = good.later(), bad.later(), good.later()
        assert first() == [("chat.acme.example",)]
        if ask:
            failing()


@pytest.mark.parametrize("ask", [True, False])
def test_a_query_that_fails_among_others_says_so_and_the_connection_is_good_for_more(cast: Cast, ask: bool) -> None:
    with pytest.raises(DataError, match="invalid input syntax"):
        fail_among_others(cast.acme.customer, ask=ask)
    good = Prepared(lambda: Server.objects.values_list("name"))
    assert names(good, cast.acme.customer) == [("chat.acme.example",)]


_SERVER = Given("server", BigIntegerField())
