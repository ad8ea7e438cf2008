"""The roles of the running service: their rights, how they are made, and which process is which."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction
from pytest_django import Settings

from hpns import database_roles, ingest, variables
from hpns.checks import roles as checks_roles
from hpns.local import verify
from tests.roles import DIRECTORY, PAGES, WORKER, acting_as
from tests.stage import ROOT

pytestmark = pytest.mark.django_db
OWNER_URL, PAGES_URL, WORKER_URL, DIRECTORY_URL = (
    f"postgresql://{user}:secret@db/hpns" for user in ("hpns", "pages", "worker", "directory")
)


# Of some tables only columns may be inserted; columns that may be updated are named.
_INSERTED = re.compile(r"INSERT \([a-z_, ]+\)")


def rights(table: str) -> str:
    """What the present role may do with a table."""
    verbs = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT has_table_privilege(%(table)s, verb) OR (verb = 'INSERT' AND "
            "has_any_column_privilege(%(table)s, verb)) FROM unnest(%(verbs)s::text[]) AS verb",
            {"table": table, "verbs": list(verbs)},
        )
        found = [verb for verb, (held,) in zip(verbs, cursor.fetchall(), strict=True) if held]
        if "UPDATE" not in found:
            cursor.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
                "AND has_column_privilege(attrelid, attnum, 'UPDATE') ORDER BY attnum",
                [table],
            )
            columns = ", ".join(name for (name,) in cursor.fetchall())
            found += [f"UPDATE ({columns})"] if columns else []
        return ", ".join(found)


def test_every_table_of_the_database_is_in_the_table_of_grants() -> None:
    with connection.cursor() as cursor:
        assert database_roles.tables(cursor) == set(database_roles.GRANTS)
        cursor.execute("CREATE TABLE delivery_2026_01_02 (); CREATE TABLE tenants_secret ()")
        assert database_roles.tables(cursor) - set(database_roles.GRANTS) == {"tenants_secret"}


@pytest.mark.parametrize("kind", [PAGES, WORKER, DIRECTORY])
def test_each_role_has_the_rights_of_the_table_and_no_other(kind: str) -> None:
    with acting_as(kind):
        assert {table: rights(table) for table in database_roles.GRANTS} == {
            table: _INSERTED.sub("INSERT", database_roles.rights(kind, table)) for table in database_roles.GRANTS
        }
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            connection.cursor().execute("CREATE TABLE mine ()")


# --- manage.py database_roles


@pytest.fixture
def named(settings: Settings, transactional_db: None) -> Iterator[Settings]:
    """URLs of this test's own two users of the tests' database, which are not there yet."""
    values = connection.settings_dict
    name = f"{values['NAME']}_made"
    place = f"{values['HOST']}:{values['PORT']}/{values['NAME']}"
    settings.PAGES_DATABASE_URL = f"postgresql://{name}_pages:p%40ss1@{place}"
    settings.WORKER_DATABASE_URL = f"postgresql://{name}_worker:pass2@{place}"
    settings.DIRECTORY_DATABASE_URL = f"postgresql://{name}_directory:pass3@{place}"
    yield settings
    with connection.cursor() as cursor:
        for role in (f"{name}_pages", f"{name}_worker", f"{name}_directory"):
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
            if cursor.fetchone():
                cursor.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def query(url: str, statement: str) -> Any:
    with psycopg.connect(url) as own:
        found = own.execute(statement).fetchone()
    return found and found[0]


def problems(settings: Settings) -> list[str | None]:
    settings.DATABASE_URL = OWNER_URL
    return [one.id for one in checks_roles.roles_are_fit(None, databases=["default"])]


def test_the_command_makes_all_and_run_again_changes_nothing(named: Settings) -> None:
    assert problems(named) == ["hpns.E037", "hpns.E037", "hpns.E037"]
    for _ in range(2):
        call_command("database_roles", verbosity=0)
    assert problems(named) == []
    urls = ((named.PAGES_DATABASE_URL, False), (named.WORKER_DATABASE_URL, True), (named.DIRECTORY_DATABASE_URL, True))
    for url, bypasses in urls:
        assert query(url, "SELECT rolbypassrls FROM pg_roles WHERE rolname = current_user") is bypasses
        assert query(url, "SELECT count(*) FROM tenants_customer") == 0


def test_a_new_password_and_a_new_table_are_taken_up(named: Settings) -> None:
    call_command("database_roles", verbosity=0)
    named.PAGES_DATABASE_URL = named.PAGES_DATABASE_URL.replace("p%40ss1", "other")
    with connection.cursor() as cursor:
        cursor.execute(f"REVOKE ALL ON tenants_server FROM {urlsplit(named.PAGES_DATABASE_URL).username}")
    call_command("database_roles", verbosity=0)
    assert query(named.PAGES_DATABASE_URL, "SELECT count(*) FROM tenants_server") == 0


def test_a_role_with_too_much_or_too_little_power_is_named_and_mended(named: Settings) -> None:
    call_command("database_roles", verbosity=0)
    pages, worker = (urlsplit(url).username for url in (named.PAGES_DATABASE_URL, named.WORKER_DATABASE_URL))
    for statement, expected in (
        (f"ALTER ROLE {pages} SUPERUSER", ["hpns.E035"]),
        (f"ALTER ROLE {pages} NOSUPERUSER BYPASSRLS", ["hpns.E035"]),
        (f"ALTER ROLE {worker} NOBYPASSRLS", ["hpns.E035", "hpns.E036"]),
    ):
        with connection.cursor() as cursor:
            cursor.execute(statement)
        assert problems(named) == expected
    call_command("database_roles", verbosity=0)
    assert problems(named) == []
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE theirs (); ALTER TABLE theirs OWNER TO {pages}")
        assert problems(named) == ["hpns.E035"]
        cursor.execute("DROP TABLE theirs")


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        ("postgresql://{owner}:x@db/x", "each role needs a user of its own"),
        ("postgresql://db/x", "a user and a password"),
    ],
)
def test_a_url_that_will_not_do_is_told(settings: Settings, pages: str, message: str) -> None:
    settings.PAGES_DATABASE_URL = pages.format(owner=connection.settings_dict["USER"])
    with pytest.raises(CommandError, match=message):
        call_command("database_roles", verbosity=0)


def test_an_owner_who_may_make_no_role_is_told_what_an_administrator_has_to_do(named: Settings) -> None:
    with acting_as(WORKER), pytest.raises(CommandError, match="let an administrator run: CREATE ROLE") as raised:
        call_command("database_roles", verbosity=0)
    assert "p@ss1" not in str(raised.value)


def test_without_urls_nothing_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("database_roles")
    assert "everything runs as the owner" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("pages", "worker", "directory", "expected"),
    [
        (PAGES_URL, WORKER_URL, DIRECTORY_URL, []),
        ("", WORKER_URL, DIRECTORY_URL, ["PAGES_DATABASE_URL"]),
        (PAGES_URL, "", DIRECTORY_URL, ["WORKER_DATABASE_URL"]),
        (PAGES_URL, WORKER_URL, "", ["DIRECTORY_DATABASE_URL"]),
        (PAGES_URL, WORKER_URL, WORKER_URL, ["DIRECTORY_DATABASE_URL"]),
        (PAGES_URL, PAGES_URL, DIRECTORY_URL, ["WORKER_DATABASE_URL"]),
        (OWNER_URL, WORKER_URL, DIRECTORY_URL, ["PAGES_DATABASE_URL"]),
        ("postgresql://[", WORKER_URL, DIRECTORY_URL, ["PAGES_DATABASE_URL"]),
    ],
)
def test_a_deployment_names_four_users(
    settings: Settings, pages: str, worker: str, directory: str, expected: list[str]
) -> None:
    settings.DATABASE_URL, settings.PAGES_DATABASE_URL, settings.WORKER_DATABASE_URL = OWNER_URL, pages, worker
    settings.DIRECTORY_DATABASE_URL = directory
    found = checks_roles.roles_are_named(None)
    assert [one.msg.partition(" ")[0] for one in found] == expected
    assert {one.id for one in found} <= {"hpns.E039"}
    assert "secret" not in str(found)


# --- Which process is which


@pytest.mark.parametrize(
    ("role", "users"),
    [
        ("owner", {"default": "hpns", "directory": "directory"}),
        ("pages", {"default": "pages", "directory": "directory"}),
        ("worker", {"default": "worker", "owner": "hpns"}),
        ("web", {"default": "directory"}),
    ],
)
def test_each_role_has_the_connections_that_it_needs(role: str, users: dict[str, str]) -> None:
    found = variables.databases(role, owner=OWNER_URL, pages=PAGES_URL, worker=WORKER_URL, directory=DIRECTORY_URL)
    assert {alias: values["USER"] for alias, values in found.items()} == users
    without = variables.databases(role, owner=OWNER_URL, pages=PAGES_URL, worker=WORKER_URL, directory="")
    assert {alias: values["USER"].replace("worker", "directory") for alias, values in without.items()} == {
        alias: user.replace("worker", "directory") for alias, user in users.items()
    }


def test_without_roles_there_is_one_connection() -> None:
    for role in ("owner", "pages", "worker", "web"):
        found = variables.databases(role, owner=OWNER_URL, pages="", worker="", directory="")
        assert {alias: values["USER"] for alias, values in found.items()} == {"default": "hpns"}


@pytest.mark.parametrize(
    ("module", "user", "directory", "owner"),
    [
        ("hpns.ingest", "directory", "default", "default"),
        ("hpns.asgi", "directory", "default", "default"),
        ("hpns.pages_process", "pages", "directory", "default"),
        ("hpns.worker", "worker", "default", "owner"),
        ("hpns.celery", "worker", "default", "owner"),
    ],
)
def test_each_program_is_what_it_should_be(module: str, user: str, directory: str, owner: str) -> None:
    program = (
        f"import {module}; from django.conf import settings as s; "
        "print(s.DATABASES['default']['USER'], s.DIRECTORY_DATABASE, s.OWNER_DATABASE)"
    )
    given = {
        "DATABASE_URL": OWNER_URL,
        "PAGES_DATABASE_URL": PAGES_URL,
        "WORKER_DATABASE_URL": WORKER_URL,
        "DIRECTORY_DATABASE_URL": DIRECTORY_URL,
    }
    wanted = ("PATH", "REDIS_URL", "PYTHONPYCACHEPREFIX")
    env = {**{name: os.environ[name] for name in wanted if name in os.environ}, **given}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**verify.deployment(), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split() == [user, directory, owner], done.stderr


@pytest.mark.parametrize("role", ["web", "pages"])
def test_the_processes_that_strangers_reach_know_no_way_to_the_owner_or_the_worker(role: str) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.endswith("DATABASE_URL")},
        "DATABASE_URL": OWNER_URL,
        "PAGES_DATABASE_URL": PAGES_URL,
        "WORKER_DATABASE_URL": WORKER_URL,
        "DIRECTORY_DATABASE_URL": DIRECTORY_URL,
        "DATABASE_ROLE": role,
        "DJANGO_SETTINGS_MODULE": "hpns.settings",
        "READ_DOT_ENV": "false",
    }
    asked = (
        "import json; from django.conf import settings; from hpns.checks.settings import settings_are_usable; "
        "print(json.dumps([settings.DATABASE_URL + settings.WORKER_DATABASE_URL, str(settings.DATABASES), "
        "[each.id for each in settings_are_usable(None)]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    url, databases, faults = json.loads(done.stdout)
    assert url == ""
    assert not any(f"'USER': '{user}'" in databases for user in ("hpns", "worker"))
    assert not {"hpns.E003", "hpns.E004"} & set(faults)
    # And it works without it, as the web container does, which is not given that secret.
    without = {name: value for name, value in environment.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, env=without, capture_output=True, text=True, check=True, timeout=60
    )
    assert not {"hpns.E003", "hpns.E004"} & set(json.loads(done.stdout)[2])


def test_the_web_server_begins_anew_without_it_where_it_was_given_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("DATABASE_URL", "WORKER_DATABASE_URL")
    for name in names:
        monkeypatch.setenv(name, OWNER_URL)
        monkeypatch.setenv(f"{name}_FILE", "/run/secrets/database_url")
        setattr(settings, name, OWNER_URL)
    assert ingest.of_others() == [], "there is one role only"
    settings.DATABASE_URL = settings.WORKER_DATABASE_URL = ""
    assert set(ingest.of_others()) == {*names, *(f"{name}_FILE" for name in names)}
    monkeypatch.delenv("DATABASE_URL")
    assert "DATABASE_URL" not in ingest.of_others()
