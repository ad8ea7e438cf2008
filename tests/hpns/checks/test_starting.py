"""A process that lacks a setting says so in one line each and ends; one that has them all says nothing."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SET_UP = {
    "SECRET_KEY": "k" * 50,
    "VAULT_KEYS": "s1:" + base64.urlsafe_b64encode(b"v" * 32).decode(),
    "HASH_KEY": base64.urlsafe_b64encode(b"h" * 32).decode(),
    "DATABASE_URL": "postgresql://u:p@127.0.0.1:9/hpns",
    "REDIS_URL": "redis://127.0.0.1:9/0",
}


def python(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with these settings and no others."""
    # The last: where modules are kept compiled, which else each first process of a new clone would do again.
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX") if name in os.environ}
    env = {**kept, "READ_DOT_ENV": "false", "PYTHONPATH": str(ROOT), **settings}
    return subprocess.run(
        [sys.executable, *arguments], env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("part", ["hpns.ingest", "hpns.worker"])
def test_each_missing_setting_is_one_line_that_says_what_to_do(part: str) -> None:
    done = python("-m", part)
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert {line.split()[0] for line in lines} == set(SET_UP)
    assert len(lines) == len(SET_UP)
    assert all("Make one with" in line or "It has the form" in line for line in lines)


@pytest.mark.parametrize("part", ["hpns.ingest", "hpns.worker"])
def test_one_missing_setting_is_enough(part: str) -> None:
    done = python("-m", part, **{**SET_UP, "VAULT_KEYS": ""})
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("VAULT_KEYS is not set")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("part", [("hpns.ingest",), ("hpns.worker",), ("hpns.beat", "-s", "/dev/null/beat")])
@pytest.mark.parametrize("wrong", [("HTTPS_PROXY", "socks5://proxy:1080"), ("FCM_ORIGIN", "fcm.googleapis.com")])
def test_a_setting_of_the_way_out_that_cannot_be_meant_ends_each_part_at_its_start(
    part: tuple[str, ...], wrong: tuple[str, str]
) -> None:
    name, value = wrong
    done = python("-m", *part, **SET_UP, **{name: value})
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stderr.splitlines()] == [name], done.stderr


@pytest.mark.parametrize(
    ("given", "arguments", "name"),
    [
        ({"PORT": "99999"}, (), "PORT"),
        ({}, ("--port", "99999"), "PORT"),
        ({"INGEST_WORKERS": "0"}, (), "INGEST_WORKERS"),
        ({}, ("--workers", "-3"), "INGEST_WORKERS"),
        ({"PUBLIC_URL": "push.example.com"}, (), "PUBLIC_URL"),
        ({"HOST": "fe80::1%nowhere"}, (), "Cannot"),
    ],
)
def test_a_front_door_that_would_serve_nobody_does_not_start(
    given: dict[str, str], arguments: tuple[str, ...], name: str
) -> None:
    done = python("-m", "hpns.ingest", *arguments, **SET_UP, **given)
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stderr.splitlines()] == [name], done.stderr


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"HTTP_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"http_proxy": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTP_PROXY": "http://other:1", "https_proxy": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "proxy.example.com:3128"}, "http://proxy.example.com:3128"),
        ({"HTTPS_PROXY": " "}, ""),
    ],
)
def test_the_way_out_is_taken_as_the_reference_proxy_takes_it(given: dict[str, str], expected: str) -> None:
    done = python("-c", "from hpns import settings; print(settings.HTTPS_PROXY)", **SET_UP, **given)
    assert done.stdout == f"{expected}\n", done.stderr


def test_a_process_with_all_of_them_goes_on_whatever_its_stores_do_and_without_a_certificate_for_another_part() -> None:
    code = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'hpns.settings'\n"
        "from hpns.checks import starting; starting.stop_unless_set_up(); print('goes on')"
    )
    done = python("-c", code, **SET_UP, TLS_CERT_FILE="/nowhere/cert.pem", TLS_KEY_FILE="/nowhere/key.pem")
    assert (done.returncode, done.stdout) == (0, "goes on\n"), done.stderr
