"""`manage.py backup` and `restore`: what each refuses. That a backup comes back alive is in tests/faults."""

import io
import json
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from hpns.backup import age_passphrase, folder, programs
from hpns.backup.sealing import IDENTITY
from tenants.models import AuditEvent, Customer
from tenants.problem import ProblemError

WORDS = "six words that nobody would guess"


def run(*words: str) -> Any:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return json.loads(out.getvalue())


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase, and little work for it."""
    monkeypatch.setenv("BACKUP_PASSPHRASE", WORDS)
    monkeypatch.setattr(age_passphrase, "LOG_N", 10)


@pytest.fixture
def made(transactional_db: None, valkey: redis.Redis, tmp_path: Path) -> Path:
    """A backup of a database with one customer."""
    Customer.objects.create(name="Acme of the backup", slug="acme", offer="eas")
    run("backup", "--out", str(tmp_path / "b"))
    return tmp_path / "b"


def database_of(made: Path) -> bytes:
    sink = io.BytesIO()
    folder.opened(made, WORDS).read(folder.DATABASE, sink)
    return sink.getvalue()


def test_a_backup_is_sealed_and_audited(made: Path, settings: Settings) -> None:
    assert sorted(file.name for file in made.iterdir()) == [folder.CLEAR, "database.age", IDENTITY, "keys.age"]
    assert made.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in made.iterdir()} == {0o600}
    everything = b"".join(file.read_bytes() for file in made.iterdir())
    for clear in (b"Acme of the backup", b"PGDMP", b"tenants_customer", settings.SECRET_KEY.encode(), WORDS.encode()):
        assert clear not in everything
    inside = database_of(made)
    assert inside.startswith(b"PGDMP")
    assert b"tenants_customer" in inside
    assert AuditEvent.objects.get(action="backup.make").actor.startswith("manage.py backup (")


def test_its_keys_are_told_to_whoever_has_the_passphrase(made: Path, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "words").write_text(f"{WORDS}\n")
    kept = run("restore", "--from", str(made), "--keys", "--passphrase-file", str(tmp_path / "words"))
    assert kept["VAULT_KEYS"].split(",") == settings.VAULT_KEYS
    assert kept["SECRET_KEY"] == settings.SECRET_KEY
    assert set(kept) == {"SECRET_KEY", "VAULT_KEYS", "HASH_KEY"}
    (tmp_path / "words").write_text("other words than those of it")
    with pytest.raises(CommandError, match="another passphrase"):
        run("restore", "--from", str(made), "--keys", "--passphrase-file", str(tmp_path / "words"))


def test_a_database_with_something_in_it_is_not_touched(made: Path) -> None:
    with pytest.raises(CommandError, match="the database is not empty"):
        run("restore", "--from", str(made))
    assert not AuditEvent.objects.filter(action="backup.restore").exists()


@pytest.mark.parametrize("name", ["HASH_KEY", "VAULT_KEYS"])
def test_a_service_with_other_keys_is_told_so_before_anything_is_done(
    made: Path, settings: Settings, name: str
) -> None:
    value = b"x" * 32 if name == "HASH_KEY" else ["new:dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnY="]
    setattr(settings, name, value)
    with pytest.raises(CommandError, match=f"^{name} must be those of the backup"):
        run("restore", "--from", str(made))


def test_a_backup_of_a_newer_version_is_refused(transactional_db: None, valkey: redis.Redis, tmp_path: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('tenants', '9999_later', now()) RETURNING id"
        )
        (row,) = cursor.fetchone()
    try:
        run("backup", "--out", str(tmp_path / "b"))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE id = %s", [row])
    with pytest.raises(CommandError, match=r"tenants\.9999_later is not known here"):
        run("restore", "--from", str(tmp_path / "b"))


@pytest.mark.parametrize("name", [IDENTITY, "keys.age"])
def test_a_file_that_is_missing_or_was_altered_is_named(made: Path, name: str) -> None:
    content = (made / name).read_bytes()
    (made / name).write_bytes(content[:-1])
    with pytest.raises(CommandError, match=rf"^{name} cannot be opened: .*altered or cut short"):
        run("restore", "--from", str(made))
    (made / name).unlink()
    with pytest.raises(CommandError, match=rf"{name} cannot be read: No such file"):
        run("restore", "--from", str(made))


def test_a_folder_that_holds_something_is_not_written_into(made: Path) -> None:
    before = {file.name: file.read_bytes() for file in made.iterdir()}
    with pytest.raises(CommandError, match="not empty: give each backup a folder of its own"):
        run("backup", "--out", str(made))
    assert {file.name: file.read_bytes() for file in made.iterdir()} == before


def test_a_backup_that_was_interrupted_is_none(made: Path) -> None:
    (made / folder.CLEAR).unlink()
    with pytest.raises(CommandError, match="is no backup, or one that was interrupted"):
        run("restore", "--from", str(made))


@pytest.mark.parametrize(
    "content",
    [
        *("[]", "{", '{"format": "hpns backup 2"}', '{"format": "hpns backup 3", "made_at": "", "version": ""}'),
        '{"format": "hpns backup 1", "made_at": "", "version": ""}',
    ],
)
def test_what_stands_in_the_clear_is_not_believed(made: Path, content: str) -> None:
    (made / folder.CLEAR).write_text(content)
    with pytest.raises(CommandError, match=r"backup\.json") as raised:
        run("restore", "--from", str(made))
    assert "\n" not in str(raised.value)


def test_without_a_passphrase_nothing_is_done(monkeypatch: pytest.MonkeyPatch, db: None, tmp_path: Path) -> None:
    monkeypatch.delenv("BACKUP_PASSPHRASE")
    with pytest.raises(CommandError, match="set BACKUP_PASSPHRASE, or name a file"):
        run("backup", "--out", str(tmp_path / "b"))
    with pytest.raises(CommandError, match="cannot be read"):
        run("backup", "--out", str(tmp_path / "b"), "--passphrase-file", str(tmp_path / "none"))
    monkeypatch.setenv("BACKUP_PASSPHRASE", "short")
    with pytest.raises(CommandError, match="at least 12"):
        run("backup", "--out", str(tmp_path / "b"))
    assert not (tmp_path / "b").exists()


def test_a_dump_that_fails_is_not_taken_for_one_that_has_ended(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ProblemError, match=r"pg_dump failed: .*snapshot"):
        list(programs.dump("no-such-snapshot"))
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "PASSWORD", "wrong-password")
        with pytest.raises(ProblemError, match=r"pg_dump failed: .*authentication") as raised:
            list(programs.dump("no-such-snapshot"))
    assert "wrong-password" not in str(raised.value)


def test_a_restore_that_breaks_off_leaves_nothing_behind(transactional_db: None, made: Path) -> None:
    """pg_restore is given half a stream; what it makes is made in one transaction."""
    whole = database_of(made)

    def half(file: BinaryIO) -> None:
        file.write(whole[: len(whole) // 2])
        raise KeyboardInterrupt

    name = f"{connection.settings_dict['NAME']}_half"
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(connection.settings_dict, "NAME", name)
            with pytest.raises(KeyboardInterrupt):
                programs.restore(half)
            connection.close()
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
                assert cursor.fetchone() == (0,)
            connection.close()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
