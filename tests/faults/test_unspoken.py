"""After all that went wrong: no text, whole device token, key or secret in a log, in the queue's file or in the table.

The shared service has been through the other modules when they ran before; enough goes wrong here to run it alone.
"""

import json
from pathlib import Path

import pytest

from tests.faults.pushes import TEXT, PushAnswer, android, at_once, iphone, push, rows
from tests.stage import Stage, a_push

LEAST = 12
"""Characters of a secret that count as a trace of it; a device token's first eight may be shown."""


@pytest.fixture(scope="module")
def troubled(service: Stage, keys: dict[str, str]) -> dict[str, PushAnswer]:
    """Pushes that fail in as many ways as there are, to all of which something secret belongs."""
    markers = ("dead0410", "dead0400", "dead0404", "deadbe02", "dead0502")
    pushes = {
        **{marker: {"device_id": iphone(marker)} for marker in markers},
        "mismatch:": {"platform": "android_rn-v2", "device_id": android("mismatch:")},
        **{
            label: {"platform": f"{label}-v2"} for label in ("apple_sealed", "apple_lapsed", "android_unlisted", "none")
        },
        "not text": {"device_id": "\ud800" + iphone()},
        "not a path": {"device_id": "../" + iphone()},
    }
    answers = at_once(service, **pushes)
    # These take the connection with them, and with it every other push that is under way on it.
    answers["deadc105"] = push(service, device_id=iphone("deadc105"))
    for prefix in ("close:", "cut:"):
        answers[prefix] = push(service, platform="android_rn-v2", device_id=android(prefix))
    service.post(f"/t/{service.key}x/api/v1/send_push", json.dumps(a_push(message=TEXT)).encode())
    service.post(f"/t/{service.key}/api/v1/send_push", b'{"message":"' + TEXT.encode())
    service.get(f"/t/{service.key}/nowhere")
    # What was told OK is tried again for a day, and has no row before.
    rows(service, {name: answer for name, answer in answers.items() if answer.status != "OK"})
    service.stop("worker")  # its last lines too
    return answers


@pytest.fixture(scope="module")
def secrets(service: Stage, keys: dict[str, str], troubled: dict[str, PushAnswer]) -> set[str]:
    """Everything that must not stand anywhere: whole, or for what is long a piece out of its middle."""
    found = {TEXT, "lunch at twelve", "word-of-the-proxy", "stage-password", "-----BEGIN", "ya29.", "eyJhbGciOi"}
    found |= {service.env["SECRET_KEY"], service.env["HASH_KEY"], service.env["VAULT_KEYS"].partition(":")[2]}
    found |= {key.rpartition("_")[2] for key in (service.key, keys["hugo"], keys["spare"])}
    for request in service.sandbox.requests():
        piece = request["token"][LEAST : 2 * LEAST]
        # Tokens that are nearly all zeros belong to nobody: a credential is tried with one, and tests count with them.
        # So is the name of a WAL file.
        if request["provider"] in ("apns", "fcm") and len(request["token"]) >= 40 and piece.strip("0"):
            found.add(piece)
    for pem in [service.sandbox.demo.apns_key, *service.sandbox.folder.glob("*.pem")]:
        found |= {line for line in pem.read_text().splitlines() if len(line) == 64}
    for account in [service.sandbox.demo.service_account, *service.sandbox.folder.glob("android_*.json")]:
        found |= set(json.loads(account.read_bytes())["private_key"].splitlines()[1:-1])
    return found


def secrets_in(folder: Path, pattern: str, secrets: set[str]) -> list[str]:
    """Which files of a folder hold which secrets (their beginnings alone)."""
    wanted = {secret: secret.encode() for secret in secrets}
    found = []
    for file in sorted(folder.rglob(pattern)):
        content = file.read_bytes() if file.is_file() else b""
        found += [f"{file.name}: {secret[:LEAST]}" for secret, text in wanted.items() if text in content]
    return found


def test_no_log_line_holds_a_secret_a_text_or_a_device_token(service: Stage, secrets: set[str]) -> None:
    logs = [file.name for file in service.folder.path.rglob("*.log")]
    assert {"ingest.log", "worker.log", "beat.log"} <= set(logs)
    assert "push failed" in service.log("worker"), "nothing was logged: this test shows nothing"
    assert secrets_in(service.folder.path, "*.log", secrets) == []


def test_the_queues_file_on_disk_holds_none_either(service: Stage, secrets: set[str]) -> None:
    home = service.folder.servers / "valkey"
    appended = b"".join(file.read_bytes() for file in home.rglob("*.aof"))
    assert b"delivery.deliver" in appended, "the queue's file has no batch: this test shows nothing"
    assert secrets_in(home, "*.aof", secrets) == []


def test_the_delivery_log_holds_none_either(service: Stage, secrets: set[str], tmp_path: Path) -> None:
    everything = service.rows()
    assert len(everything) > 10
    (tmp_path / "rows").write_text(str(everything))
    assert secrets_in(tmp_path, "rows", secrets) == []


def test_the_answers_hold_none_either(troubled: dict[str, PushAnswer], secrets: set[str], tmp_path: Path) -> None:
    assert len({answer.code for answer in troubled.values()}) > 5
    (tmp_path / "answers").write_text("\n".join(answer.error for answer in troubled.values()))
    assert secrets_in(tmp_path, "answers", secrets) == []


def test_the_search_finds_what_is_there(secrets: set[str], tmp_path: Path) -> None:
    (tmp_path / "one.log").write_text("".join(f"line {secret} line\n" for secret in secrets))
    (tmp_path / "two.log").write_text("nothing")
    assert len(secrets_in(tmp_path, "*.log", secrets)) == len(secrets) > 20
