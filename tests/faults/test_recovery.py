"""A machine is lost: on another one, from the backup alone, the same keys push to the same apps."""

import base64
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.stage import PATIENCE, Stage, wait_for

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
    told = json.loads(service.manage("backup", "--out", folder, "--passphrase-file", str(words)))
    assert told["lacks"][0] == "what waits in Valkey's queue"

    with pytest.raises(AssertionError, match="VAULT_KEYS and HASH_KEY must be those of the backup"):
        empty.manage("restore", "--from", folder)
    empty.env |= json.loads(empty.manage("restore", "--from", folder, "--keys"))
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
        assert asked(empty, question) == asked(service, question) != []


def asked(stage: Stage, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(stage.postgres.url) as connection:
        return connection.execute(question).fetchall()  # type: ignore[arg-type]
