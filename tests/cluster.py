"""A PostgreSQL data folder with the service's tables and roles: made once in a run of the tests, copied for each stage.
Of the tables alone likewise a database, for pytest's processes.

What a copy holds is what `migrate` and `database_roles` have made from nothing in this very run; that every start does
the same with its own database is shown by tests/hpns/local/test_run.py.
"""

import base64
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.postgres import DIRECTORY_USER, PAGES_USER, WORKER_USER, Postgres
from hpns.local.process import Child
from hpns.local.valkey import Valkey
from tests.waiting import PATIENCE, wait_for

ROOT = Path(__file__).resolve().parent.parent
INHERITED = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "PYTHONPYCACHEPREFIX")
PASSWORD: Final = "stage-password"
"""The owner's, in every copy."""
# Names the folder of this run, which all its processes share.
VARIABLE: Final = "HPNS_TESTS_CLUSTER"
COMMANDS = """
import sys
import django
django.setup()
from django.core.management import call_command
for command in sys.argv[1:]:
    call_command(command, verbosity=0)
"""
TEMPLATE: Final = "template"
"""The mark in the folder of this run that its template database is whole."""


def settings_on(postgres: Postgres, valkey: Valkey) -> dict[str, str]:
    """The environment of a service on stores of a test's own, in which each role has its user."""
    return {
        **{name: os.environ[name] for name in INHERITED if name in os.environ},
        "READ_DOT_ENV": "false",
        "DJANGO_SETTINGS_MODULE": "hpns.settings",
        "PYTHONPATH": str(ROOT),
        "SECRET_KEY": "tests-" + "s" * 50,
        "VAULT_KEYS": "s1:" + base64.urlsafe_b64encode(b"v" * 32).decode(),
        "HASH_KEY": base64.urlsafe_b64encode(b"h" * 32).decode(),
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "LOG_FORMAT": "plain",
        **urls(postgres),
        "REDIS_URL": valkey.url,
        "REDIS_SOCKET": valkey.socket,
    }


def urls(postgres: Postgres) -> dict[str, str]:
    """The settings that name a copy's database, by its owner and by each role."""
    return {
        "DATABASE_URL": postgres.url,
        "PAGES_DATABASE_URL": postgres.url_of(PAGES_USER, "pages-password"),
        "WORKER_DATABASE_URL": postgres.url_of(WORKER_USER, "worker-password"),
        "DIRECTORY_DATABASE_URL": postgres.url_of(DIRECTORY_USER, "directory-password"),
    }


def begin() -> None:
    """Make the folder of this run; once, before other processes of the tests are started."""
    home = Path(tempfile.mkdtemp(prefix="hpns-cluster-"))
    home.chmod(0o755)  # the servers' account walks through it
    os.environ[VARIABLE] = str(home)


def end() -> None:
    """Remove it."""
    home = Path(os.environ.pop(VARIABLE))
    if (home / TEMPLATE).exists():
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(_template(home))))
    shutil.rmtree(home, ignore_errors=True)


def _template(home: Path) -> str:
    """The name of this run's template database; others may use the same server."""
    return home.name.replace("-", "_")


def template() -> str:
    """The name of a database with all tables, made by the first call in a run: Django copies it for each process."""
    home = Path(os.environ[VARIABLE])
    name, url = _template(home), os.environ["DATABASE_URL"]
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / TEMPLATE).exists():
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            _run("migrate", {**os.environ, "DATABASE_URL": urlsplit(url)._replace(path=f"/{name}").geturl()})
            (home / TEMPLATE).touch()
    return name


def copy_into(folder: Folder, env: dict[str, str]) -> None:
    """Give a folder that has no PostgreSQL yet a copy, for a Postgres with PASSWORD.

    env: the settings of a service, but for the database's; the first call in a run makes the tables with them.
    """
    home = Path(os.environ[VARIABLE])
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = home / "postgres"
        if not made.exists():
            _make(home / "service", env).rename(made)
    subprocess.run(["cp", "-a", made, folder.servers / "postgres"], check=True)


def _make(path: Path, env: dict[str, str]) -> Path:
    """A data folder with the tables and roles, whose server has been stopped."""
    folder = Folder(path, for_servers())
    postgres = Postgres(folder, PASSWORD, fast=True)
    spec = postgres.spec()
    server = Child(spec)
    try:
        wait_for(spec.ready, PATIENCE, "postgres serves")
        _run("migrate database_roles", {**env, **urls(postgres), "PYTHONPATH": str(ROOT)})
        server.send_stop_signal()
        wait_for(lambda: server.poll() is not None, PATIENCE, "postgres stops")
    finally:
        server.kill()
    return folder.servers / "postgres"


def _run(commands: str, env: dict[str, str]) -> None:
    """Run these commands, which is cheaper than manage.py once for each."""
    command = [sys.executable, "-c", COMMANDS, *commands.split()]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
