"""What people upload is read beside the process that serves: in a bounded time, one file of a customer at a time."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tenants.credentials import upload_process, uploads
from tenants.problem import ProblemError
from tenants.providers import recognition
from tests.tenants import files
from tests.tenants.files import NOW
from tests.waiting import PATIENCE, wait_for

ACME, COSMOS = 1, 2


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (files.p8(), "apns_key"),
        (files.certificate_pem(), "apns_cert"),
        (files.p12(b"pw"), "apns_cert"),
        (files.account(), "fcm_account"),
    ],
    ids=["p8", "pem", "p12", "json"],
)
def test_no_kind_of_file_is_read_by_the_process_that_serves(
    data: bytes, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("read", "_refuse_text"):
        monkeypatch.setattr(recognition, name, None)
    ids = {"key_id": "ABC123DEFG", "team_id": "TEAM123456"}
    assert uploads.parse(data, owner=ACME, password="pw", now=NOW, **ids).kind == kind


def test_a_file_that_takes_endless_rounds_is_given_up() -> None:
    started = time.monotonic()
    with pytest.raises(ProblemError, match="cannot be read within 1 seconds"):
        uploads.parse(files.endless_p12(), owner=ACME, password="pw", now=NOW, seconds=1)
    assert time.monotonic() - started < 20
    assert not upload_process.SLOTS._owners


def test_one_customers_slow_file_keeps_no_other_customer_waiting_and_its_own_next_one_is_told_at_once() -> None:
    with upload_process.SLOTS.taken(ACME, 0):
        with pytest.raises(ProblemError, match="another file of yours is being read: upload this one again"):
            uploads.parse(files.account(), owner=ACME)
        assert uploads.parse(files.account(), owner=COSMOS).kind == "fcm_account"
    assert uploads.parse(files.account(), owner=ACME).kind == "fcm_account"


def test_a_few_files_are_read_at_once_and_who_waits_is_told_so_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_process, "WAIT", 0.05)
    monkeypatch.setattr(upload_process, "AT_ONCE", 1)
    with upload_process.SLOTS.taken(ACME, 0), pytest.raises(ProblemError, match="other files: upload it again"):
        uploads.parse(files.account(), owner=COSMOS)
    assert uploads.parse(files.account(), owner=COSMOS).kind == "fcm_account"


def test_who_reads_a_file_knows_none_of_our_secrets_and_lets_pushes_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_KEYS", "a-secret")

    def upload() -> None:
        with pytest.raises(ProblemError, match="cannot be read: get it again"):
            uploads.parse(files.endless_p12(), owner=ACME, password="pw", now=NOW, seconds=PATIENCE)

    slow = threading.Thread(target=upload)
    slow.start()

    def nice_child() -> Path | None:
        lists = Path("/proc/self/task").glob("*/children")
        children = [Path("/proc") / pid for each in lists for pid in each.read_text().split()]
        readers = [child for child in children if b"upload_process" in (child / "cmdline").read_bytes()]
        return next((child for child in readers if os.getpriority(os.PRIO_PROCESS, int(child.name)) == 10), None)

    child = wait_for(nice_child, PATIENCE, "the child has begun")
    environment = (child / "environ").read_bytes()
    os.kill(int(child.name), signal.SIGKILL)
    slow.join()
    assert b"a-secret" not in environment


def test_an_error_of_the_reader_is_told_without_a_word_of_the_file(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing = (*upload_process._PROGRAM[:3], "raise ValueError('of the file')", "")
    monkeypatch.setattr(upload_process, "_PROGRAM", failing)
    with pytest.raises(ProblemError, match="cannot be read: get it again"):
        uploads.parse(files.account(), owner=ACME)
    assert "ended with 1 (ValueError)" in caplog.text
    assert "of the file" not in caplog.text
