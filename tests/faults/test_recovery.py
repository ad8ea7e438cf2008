"""A machine is lost: on another one, from the backup alone, the same keys push to the same apps.

Also from a backup of an older version, and the database alone with Debian's `age` and pg_restore, without this program.
"""

import base64
import copy
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pyrage
import pytest
from psycopg import sql

from hpns import wheels
from hpns.backup import folder as backup_folder
from tests.faults.stock_age import typed
from tests.hpns.backup import first_format_writer
from tests.stage import ROOT, Stage
from tests.waiting import PATIENCE, wait_for

WORDS = "six words that nobody would guess"


@pytest.fixture
def empty(service: Stage) -> Iterator[Stage]:
    """Another machine: empty stores of its own, and keys of its own, as an installation makes them."""
    home = Path(tempfile.mkdtemp(prefix="hpns-stage-"))
    home.chmod(0o755)
    other = {name: base64.urlsafe_b64encode(name.encode().ljust(32, b".")).decode() for name in ("HASH", "VAULT")}
    stage = Stage(
        home / "service",
        service.sandbox,
        {
            "DELIVER_FROM": "workers",
            "SECRET_KEY": "new-" + "n" * 50,
            "HASH_KEY": other["HASH"],
            "VAULT_KEYS": f"new:{other['VAULT']}",
            "BACKUP_PASSPHRASE": WORDS,
        },
    )
    try:
        stage.start_postgres()
        stage.start_valkey()
        yield stage
    finally:
        stage.close()
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.usefixtures("keys")
def test_a_backup_brings_the_service_back_on_an_empty_machine(service: Stage, empty: Stage, tmp_path: Path) -> None:
    assert service.push()["status"] == "OK"
    before = wait_for(service.rows, PATIENCE, "a row of the log")
    words = tmp_path / "words"
    words.write_text(WORDS)
    folder = str(tmp_path / "backup")
    report = json.loads(service.manage("backup", "--out", folder, "--passphrase-file", str(words)))
    assert report["lacks"][0] == "what waits in Valkey's queue"

    altered = shutil.copytree(folder, tmp_path / "altered")
    content = bytearray((altered / "database.age").read_bytes())
    content[-1] ^= 1
    (altered / "database.age").write_bytes(content)

    with pytest.raises(AssertionError, match="VAULT_KEYS and HASH_KEY must be those of the backup"):
        empty.manage("restore", "--from", folder)
    empty.env |= json.loads(empty.manage("restore", "--from", folder, "--keys"))
    with pytest.raises(AssertionError, match=r"database\.age cannot be opened: it was altered"):
        empty.manage("restore", "--from", str(altered))
    assert json.loads(empty.manage("restore", "--from", folder))["restored_from"] == folder
    with pytest.raises(AssertionError, match="the database is not empty"):
        empty.manage("restore", "--from", folder)

    kept = {row["trace"]: row for row in empty.rows()}
    assert all(kept[row["trace"]] == row for row in before)
    empty.key = service.key
    empty.start_ingest()
    empty.start_worker()
    wait_for(empty.ready, PATIENCE, "the service is ready again")
    assert empty.push()["status"] == "OK"
    assert empty.push(platform="android_rn-v2", device_id="android-of-recovery")["status"] == "OK"
    wait_for(lambda: len(empty.rows()) == len(kept) + 2, PATIENCE, "the rows of both pushes")
    for question in (
        "SELECT tablename, policyname, qual FROM pg_policies ORDER BY tablename, policyname",
        "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname ~ '^hpns_' ORDER BY rolname",
        "SELECT grantee::text, table_name::text, privilege_type::text FROM information_schema.role_table_grants "
        "WHERE grantee ~ '^hpns_' AND table_name !~ '[0-9]' ORDER BY 1, 2, 3",
    ):
        assert query(empty, question) == query(service, question) != []


@pytest.fixture
def backup(service: Stage, tmp_path: Path) -> Path:
    """A backup of the service."""
    (tmp_path / "words").write_text(WORDS)
    service.manage("backup", "--out", str(tmp_path / "backup"), "--passphrase-file", str(tmp_path / "words"))
    return tmp_path / "backup"


@pytest.fixture
def beside(service: Stage) -> Iterator[Stage]:
    """The same service with an empty database beside its own."""
    stage = copy.copy(service)
    stage.env = {
        name: f"{value.rpartition('/')[0]}/beside" if name.endswith("DATABASE_URL") else value
        for name, value in {**service.env, "BACKUP_PASSPHRASE": WORDS}.items()
    }
    with psycopg.connect(service.postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE beside")
        yield stage
        connection.execute("DROP DATABASE beside WITH (FORCE)")


def rows(url: str) -> dict[str, int]:
    """How many rows each table of ours has that nobody writes meanwhile."""
    with psycopg.connect(url) as connection:
        names = connection.execute(
            "SELECT relname FROM pg_class WHERE relname ~ '^(tenants|billing)_' AND relkind = 'r' "
            "AND relname <> 'tenants_auditevent' ORDER BY 1"
        ).fetchall()
        return {
            name: connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))).fetchall()[0][0]
            for (name,) in names
        }


def test_a_backup_of_the_first_format_brings_the_service_back(
    service: Stage, backup: Path, beside: Stage, tmp_path: Path
) -> None:
    text = pyrage.passphrase.decrypt((backup / "identity.age").read_bytes(), WORDS).decode()
    identities = [pyrage.x25519.Identity.from_str(line) for line in text.splitlines() if not line.startswith("#")]
    parts = {part: pyrage.decrypt((backup / f"{part}.age").read_bytes(), identities) for part in ("keys", "database")}
    first_format_writer.write(tmp_path / "first", WORDS, parts)
    assert json.loads(beside.manage("restore", "--from", str(tmp_path / "first")))["made_by_version"] == "0.1.0"
    assert rows(beside.env["DATABASE_URL"]) == rows(service.postgres.url) != {}


def test_age_and_pg_restore_open_a_backup_without_this_program(service: Stage, backup: Path, beside: Stage) -> None:
    keys, database = json.loads((backup / "backup.json").read_text())["opened_without_hpns_by"]
    assert (keys, database) == backup_folder.WITHOUT_US
    assert all(f"    {command}" in (ROOT / "docs/OPERATIONS.md").read_text() for command in (keys, database))
    environment = {"PATH": str(wheels.postgres_program("pg_restore").parent)}
    settings = json.loads(typed(keys, WORDS, backup, environment))["settings"]
    assert settings == {name: service.env[name] for name in ("SECRET_KEY", "VAULT_KEYS", "HASH_KEY")}
    typed(database.replace("URL", beside.env["DATABASE_URL"]), WORDS, backup, environment)
    assert rows(beside.env["DATABASE_URL"]) == rows(service.postgres.url) != {}
    with pytest.raises(AssertionError, match="incorrect passphrase"):
        typed(keys, WORDS + "!", backup, environment)


def query(stage: Stage, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(stage.postgres.url) as connection:
        return connection.execute(question).fetchall()  # type: ignore[arg-type]
