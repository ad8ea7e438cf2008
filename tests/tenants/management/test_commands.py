"""The commands as they are typed: JSON, or one line and exit code 1. And where no secret is left behind."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connection

from tenants import services
from tenants.directory.live import Directory
from tenants.problem import ProblemError
from tests.tenants import files
from tests.tenants.conftest import Acme
from tests.tenants.relay import Relay

ROOT = Path(__file__).resolve().parents[3]


def run(*words: str) -> Any:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return json.loads(out.getvalue())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "key.p8").write_bytes(files.p8())
    (tmp_path / "cert.p12").write_bytes(
        files.p12(b"p12-password", files.certificate(now=files.datetime.now(files.UTC)))
    )
    (tmp_path / "account.json").write_bytes(files.account())
    (tmp_path / "large").write_bytes(b"x" * 200_000)
    (tmp_path / "empty").write_bytes(b"")
    return tmp_path


def test_from_nothing_to_a_customer_that_can_push(db: None, valkey: redis.Redis, folder: Path) -> None:
    customer = run("customer", "add", "--name", "Ada's", "--offer", "eas")
    assert (customer["slug"], customer["changed"], customer["may_use_shared"]) == ("adas", True, False)
    server = run("server", "add", "--customer", "adas", "--name", "main")
    key = run("key", "add", "--customer", "adas", "--server", server["id"], "--days", "30")
    assert key["key"].startswith(f"hk_{key['prefix']}_")
    assert key["expires_at"]
    app = run("app", "add", "--customer", "adas", "--label", "apple_rn", "--topic", "com.example.app")
    assert (app["family"], app["host"], app["default"]) == ("apns", "production", False)
    given = ("--p8", str(folder / "key.p8"), "--key-id", "ABC123DEFG", "--team-id", "TEAM123456")
    added = run("credential", "add", "--customer", "adas", "--label", "apple_rn", *given)
    assert (added["kind"], added["key_id"], added["changed"]) == ("apns_key", "TEAM123456/ABC123DEFG", True)

    directory = Directory()
    directory.load()
    identity = directory.find(key["prefix"])
    assert identity is not None
    found = directory.route(identity.customer_id, "apple_rn", "apns")
    assert found is not None
    assert found.credential_id == added["id"]
    assert [one["prefix"] for one in run("key", "list", "--customer", "adas")] == [key["prefix"]]
    assert "key" not in run("key", "list")[0]
    assert run("key", "revoke", "--prefix", key["key"])["revoked_at"]


def test_the_lists_show_everything_and_no_secret(acme: Acme) -> None:
    shown = {noun: run(noun, "list") for noun in ("customer", "server", "key", "app", "credential")}
    assert [len(rows) for rows in shown.values()] == [1, 1, 1, 1, 1]
    text = json.dumps(shown)
    assert acme.credential.sealed not in text
    assert acme.text not in text
    assert run("app", "list", "--customer", "acme") == []


def test_each_kind_of_file_is_taken(acme: Acme, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSH_PASSWORD", "p12-password")
    run("app", "add", "--customer", "acme", "--label", "apple_own", "--topic", "com.example.app")
    run("app", "add", "--shared", "--label", "android_rn", "--topic", "com.mattermost.rn")
    own, shared = ("--customer", "acme", "--label", "apple_own"), ("--shared", "--label", "android_rn")
    p12 = ("--p12", str(folder / "cert.p12"), "--password-env", "PUSH_PASSWORD")
    assert run("credential", "add", *own, *p12)["kind"] == "apns_cert"
    account = run("credential", "add", *shared, "--service-account", str(folder / "account.json"))
    assert account["kind"] == "fcm_account"
    waiting = run("credential", "add", *own, *p12, "--slot", "next")
    assert (waiting["slot"], waiting["changed"]) == ("next", True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("customer suspend --slug nobody --reason unpaid", "no customer 'nobody'"),
        ("customer add --name Acme --offer eas", "already, with the name Acme and the offer hpns"),
        ("server add --customer nobody --name x", "no customer 'nobody'"),
        ("key add --customer acme --server other", "no server 'other'"),
        ("key add --customer acme --server main --days 0", "expired from the beginning"),
        ("key revoke --prefix 12345678", "no key with this prefix"),
        ("app add --label apple_rn --topic com.a", "either --customer SLUG or --shared"),
        ("app add --shared --customer acme --label apple_rn --topic com.a", "either --customer SLUG or --shared"),
        ("credential add --shared --label apple_other --pem x", "no shared app with the label 'apple_other'"),
        ("credential add --customer acme --label apple_rn --pem x", "acme has no own app"),
        ("credential add --shared --label apple_rn", "exactly one of"),
        ("credential add --shared --label apple_rn --pem x --p8 y", "exactly one of"),
        ("credential add --shared --label apple_rn --pem /nonexistent", "cannot be read: No such file"),
        ("credential add --shared --label apple_rn --pem /", "cannot be read: Is a directory"),
        ("credential add --shared --label apple_rn --pem {folder}/large", "larger than 100 KB"),
        ("credential add --shared --label apple_rn --pem {folder}/empty", "is empty"),
        ("credential add --shared --label apple_rn --p8 {folder}/key.p8", "key id must be"),
        (
            "credential add --shared --label apple_rn --p12 {folder}/cert.p12 --password-env NOT_SET",
            "NOT_SET is not set",
        ),
        ("credential add --shared --label apple_rn --service-account {folder}/account.json", "of the family apns"),
    ],
)
def test_what_is_wrong_is_one_line(acme: Acme, folder: Path, words: str, message: str) -> None:
    with pytest.raises(CommandError, match=message) as raised:
        run(*words.format(folder=folder).split())
    assert "\n" not in str(raised.value)
    assert raised.value.returncode == 1


def test_a_process_ends_with_code_1_and_one_line_without_postgres(valkey: redis.Redis, postgres_relay: Relay) -> None:
    postgres_relay.refuse()
    url = f"postgresql://nobody:secret@127.0.0.1:{postgres_relay.port}/none"
    done = subprocess.run(
        [sys.executable, "manage.py", "customer", "list"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "hpns.settings_test"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "the database refused or is away" in done.stderr
    assert "secret" not in done.stderr


def test_no_secret_is_in_any_table_nor_in_valkey(acme: Acme, valkey: redis.Redis, folder: Path) -> None:
    run("app", "add", "--shared", "--label", "android_rn", "--topic", "com.mattermost.rn")
    run("credential", "add", "--shared", "--label", "android_rn", "--service-account", str(folder / "account.json"))
    Directory().load()
    dump = b""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            with cursor.copy(f'COPY (SELECT * FROM "{table}") TO STDOUT') as copy:  # noqa: S608
                dump += b"".join(bytes(block) for block in copy)
    for name in valkey.scan_iter():
        dump += valkey.dump(name) or b""
    # The dump does hold what may be known, or this test would prove nothing.
    assert acme.key.prefix.encode() in dump
    assert b"TEAM123456/ABC123DEFG" in dump
    account = json.loads((folder / "account.json").read_text())
    secrets = [acme.text, acme.text[12:], acme.secret["key_pem"].splitlines()[1], account["client_email"]]
    secrets += account["private_key"].splitlines()[1:3]
    for secret in secrets:
        assert len(secret) >= 16
        assert secret.encode() not in dump
        assert secret.encode().hex().encode() not in dump


def test_an_app_is_disabled_enabled_and_made_the_default(acme: Acme) -> None:
    shared = ("--shared", "--label", "apple_rn")
    assert run("app", "disable", *shared)["enabled"] is False
    with pytest.raises(CommandError, match="no shared app with the label"):
        run("app", "disable", *shared)
    with pytest.raises(CommandError, match="no shared app with the label"):
        run("app", "default", *shared)
    assert run("app", "enable", *shared)["changed"] is True
    assert run("app", "enable", *shared)["changed"] is False
    assert run("app", "default", *shared)["default"] is True
    run("app", "add", "--shared", "--label", "apple_two", "--topic", "com.two")
    with pytest.raises(CommandError, match="a default app of this family already"):
        run("app", "default", "--shared", "--label", "apple_two")
    assert run("app", "default", *shared, "--off")["default"] is False
    assert run("app", "default", "--shared", "--label", "apple_two")["default"] is True


def test_an_app_is_not_enabled_beside_another_one_of_its_label(acme: Acme) -> None:
    run("app", "disable", "--shared", "--label", "apple_rn")
    run("app", "add", "--shared", "--label", "apple_rn", "--topic", "com.other")
    with pytest.raises(ProblemError, match="enabled app of this label already"):
        services.app_enable(app=acme.app, enabled=True)
