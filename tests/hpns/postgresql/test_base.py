"""A PostgreSQL that says nothing is given up within a bounded time, and each role has its own timeouts."""

from collections.abc import Callable, Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from django.db import OperationalError, connection
from django.db.utils import ConnectionHandler

from hpns import variables
from tests.sessions import session

pytestmark = pytest.mark.django_db(transaction=True)

SILENCE = "said nothing for 0.5 s"
Connect = Callable[..., Any]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes further connections to the tests' database, with other OPTIONS."""
    made: list[Any] = []

    def one(**options: Any) -> Any:
        made.append(ConnectionHandler({"default": {**connection.settings_dict, "OPTIONS": options}})["default"])
        return made[-1]

    yield one
    for wrapper in made:
        wrapper.close()


def asked(wrapper: Any, question: str) -> Any:
    """The answer to a question."""
    with wrapper.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


def test_a_server_that_says_nothing_is_given_up_and_the_next_connection_is_a_new_one(connect: Connect) -> None:
    wrapper = connect(client_timeout=0.5)
    with pytest.raises(OperationalError, match=SILENCE):
        asked(wrapper, "SELECT pg_sleep(3)")
    assert wrapper.connection.closed
    wrapper.close_if_unusable_or_obsolete()
    assert asked(wrapper, "SELECT 7") == 7


def in_a_pipeline(raw: Any, *statements: LiteralString) -> list[Any]:
    """What statements give that are sent one behind the other."""
    with raw.pipeline():
        cursors = []
        for statement in statements:
            cursors.append(raw.execute(statement))
            raw.pgconn.send_flush_request()
        for cursor in cursors:
            raw.wait_for_rows_of(cursor)
        return [cursor.fetchall() for cursor in cursors]


def test_one_that_says_nothing_in_a_pipeline_is_given_up_too(connect: Connect) -> None:
    wrapper = connect(client_timeout=0.5, server_side_binding=True)
    wrapper.ensure_connection()
    assert in_a_pipeline(wrapper.connection, "SELECT 7", "SELECT 8") == [[(7,)], [(8,)]]
    with pytest.raises(psycopg.OperationalError, match=SILENCE):
        in_a_pipeline(wrapper.connection, "SELECT 7", "SELECT pg_sleep(3)")
    assert wrapper.connection.closed


def test_a_copy_that_is_not_taken_is_given_up_too(connect: Connect) -> None:
    wrapper = connect(client_timeout=0.5)
    copy = "COPY delivery_written_segment (name) FROM STDIN"
    with (
        session("LOCK TABLE delivery_written_segment"),
        wrapper.cursor() as cursor,
        pytest.raises(psycopg.OperationalError, match=SILENCE),
        cursor.cursor.copy(copy),
    ):
        pass
    assert wrapper.connection.closed


def test_without_a_deadline_of_ours_it_is_waited_for(connect: Connect) -> None:
    assert asked(connect(), "SELECT pg_sleep(0.7), 7") == ""


def test_a_server_that_takes_no_writes_is_away_and_no_fault_of_what_is_written(connect: Connect) -> None:
    wrapper = connect(options="-c default_transaction_read_only=on")
    with pytest.raises(OperationalError, match="read-only transaction"):
        asked(wrapper, "INSERT INTO delivery_written_segment (name) VALUES ('a:0') RETURNING name")
    copy = "COPY delivery_written_segment (name) FROM STDIN"
    with (
        pytest.raises(OperationalError, match="read-only transaction"),
        wrapper.wrap_database_errors,
        wrapper.cursor() as cursor,
        cursor.cursor.copy(copy),
    ):
        pass


@pytest.mark.parametrize("role", ["owner", "pages", "worker", "web"])
def test_no_role_goes_by_a_standby(role: str) -> None:
    assert options(role, "default")["target_session_attrs"] == "primary"
    assert options(role, "default", "?target_session_attrs=any")["target_session_attrs"] == "any"


def options(role: str, alias: str, query: str = "") -> dict[str, Any]:
    """OPTIONS of a connection in a deployment with four users."""
    urls = {
        name: f"postgresql://{name}:p@db.example.com/hpns{query}" for name in ("owner", "pages", "worker", "directory")
    }
    found: dict[str, Any] = variables.databases(role, **urls)[alias]["OPTIONS"]
    return found


TIMEOUTS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


@pytest.mark.parametrize(
    ("role", "alias", "timeouts", "client"),
    [
        ("pages", "default", ["30s", "5s", "1min"], 35),
        ("pages", "directory", ["20s", "5s", "30s"], 25),
        ("worker", "default", ["20s", "5s", "30s"], 25),
        ("worker", "owner", ["5min", "5s", "1min"], 305),
        ("owner", "default", ["0", "30s", "0"], None),
    ],
)
def test_each_role_has_its_timeouts(
    connect: Connect, role: str, alias: str, timeouts: list[str], client: int | None
) -> None:
    wrapper = connect(**options(role, alias))
    assert [asked(wrapper, f"SHOW {name}") for name in TIMEOUTS] == timeouts
    assert wrapper.connection.client_timeout == client
    info = wrapper.connection.info.get_parameters()
    assert (info["connect_timeout"], info["tcp_user_timeout"], info["keepalives_idle"]) == ("5", "10000", "10")


def test_what_the_url_says_comes_after_ours_and_wins(connect: Connect) -> None:
    wrapper = connect(**options("pages", "default", "?options=-c%20statement_timeout%3D90s&client_timeout=95"))
    assert [asked(wrapper, f"SHOW {name}") for name in TIMEOUTS] == ["90s", "5s", "1min"]
    assert wrapper.connection.client_timeout == 95
