"""What a log line shows and what it never shows, from our own code, from libraries and from a process that dies."""

import ast
import base64
import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from django.conf import settings

from delivery.protocol.wire import Push
from hpns.logs import setup
from tenants import keys

ROOT = Path(__file__).resolve().parents[3]
APNS_TOKEN = "740f4707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bb78ad"
FCM_TOKEN = "cRx7_Qa1T-mZk3vP0sLd8e:APA91b" + "HxT3k9Zq-Vw_" * 11
TEXT = 'the launch code is "00zz00" and it\'s secret'
KEY = keys.new_key(b"h" * 32)[0]
Lines = Callable[[], list[str]]


@pytest.fixture(params=setup.FORMATS)
def lines(request: pytest.FixtureRequest) -> Iterator[Lines]:
    """What has been logged so far, in both formats; the state of logging is put back afterwards."""
    root, stream = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level, sys.excepthook
    setup.configure({"level": "DEBUG", "format": request.param, "stream": stream})
    yield lambda: stream.getvalue().splitlines()
    root.handlers[:], root.level, sys.excepthook = before


def whole(lines: Lines) -> str:
    return "\n".join(lines())


def in_path() -> str:
    return f"POST /t/{KEY}/api/v1/send_push"


ATTACKS: dict[str, Any] = {
    "a key in a path": in_path(),
    "a key in a full URL": f"http://127.0.0.1:8066/t/{KEY}",
    "a key by itself": KEY,
    "a key in a query": f"/?key={KEY}&x=1",
    "a key with its underscores escaped": KEY.replace("_", "%5F"),
    "a key as a user name": f"https://{KEY}@push.example.com/",
    "a key as a password": f"https://user:{KEY}@push.example.com/",
    "a key cut short": f"unknown key {KEY[:30]}",
    "a key in bytes": KEY.encode(),
    "a key in a header": {"Authorization": "Basic " + base64.b64encode(f"k:{KEY}".encode()).decode()},
    "a header as a list of pairs": [("authorization", "Bearer " + "s3cr3t-s3cr3t-s3cr3t")],
    "a token of Apple": APNS_TOKEN,
    "a token of Apple in capitals": APNS_TOKEN.upper(),
    "a token of Apple in groups": " ".join(re.findall(".{8}", APNS_TOKEN)),
    "a token of Apple in a path": f"https://api.push.apple.com/3/device/{APNS_TOKEN}",
    "a token of Google": FCM_TOKEN,
    "a token of Google in a URL": FCM_TOKEN.replace(":", "%3A"),
    "a token with its platform": f"android_rn-v2:{FCM_TOKEN}",
    "a push": Push(message=TEXT, device_id=APNS_TOKEN, sender_name="Alice Liddell", channel_name="Wonderland"),
    "a push as it came in": json.dumps({"message": TEXT, "device_id": FCM_TOKEN, "sender_name": "Alice Liddell"}),
    "a push as bytes": json.dumps({"message": TEXT, "channel_name": "Wonderland"}).encode(),
    "a push in JSON in JSON": json.dumps({"payload": json.dumps({"message": TEXT, "device_id": APNS_TOKEN})}),
    "a push cut short": json.dumps({"device_id": APNS_TOKEN, "message": TEXT})[:-5],
    "a dictionary": {"message": TEXT, "sender_name": "Alice Liddell"},
    "a body for Apple": {"aps": {"alert": {"title": "Wonderland", "body": TEXT}}},
    "a plain alert": json.dumps({"aps": {"alert": TEXT}}),
    "a body for Google": {"data": {"message": TEXT, "channel_name": "Wonderland"}},
    "a private key": "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----",
    "a credential": {"key_pem": "-----BEGIN EC PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49"},
    "a provider token": "bearer eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJURUFNMTIzNDU2In0.MEUCIQDs3cr3t",
    "an access token": "ya29.s3cr3t-s3cr3t-s3cr3t",
    "a token answer of Google": json.dumps({"access_token": "s3cr3t-s3cr3t", "expires_in": 3599}),
    "a cookie": {"Cookie": "sessionid=s3cr3ts3cr3ts3cr3t; csrftoken=s3cr3t-s3cr3t"},
    "an invitation": "Not Found: /invitation/s3cr3t_s3cr3t-s3cr3t/",
    "an invitation's address": "https://push.example.com/invitation/s3cr3t_s3cr3t-s3cr3t/ was opened",
    "a link for a password": "Not Found: /account/password/reset/key/2s-s3cr3t-s3cr3t/",
    "a form": "username=root&password=s3cr3t-s3cr3t",
    "a database URL": "postgresql://hpns:s3cr3t-s3cr3t@db/hpns",
    "a sealed credential": "v1:k1:gAAAAAB" + "s3cr3t_-" * 20,
}
SECRET = re.compile(
    f"{KEY[12:26]}|launch|00zz00|Alice|Liddell|Wonderland|{APNS_TOKEN[9:17]}|{FCM_TOKEN[9:17]}|s3cr3t|MIGHAgEA",
    re.IGNORECASE,
)


@pytest.mark.parametrize("place", ["message", "argument", "extra", "exception", "structlog"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_secret_text_or_whole_token_leaves_by_any_place_of_a_line(lines: Lines, attack: str, place: str) -> None:
    what = ATTACKS[attack]
    log = logging.getLogger("anything")
    if place == "message":
        log.warning(str(what))
    elif place == "argument":
        log.warning("it was %s, yes %r", what, what)
    elif place == "extra":
        log.warning("it was", extra={"reason": what, "request": what})
    elif place == "structlog":
        structlog.get_logger("anything").warning(f"it was {what}", reason=what, push=what)
    else:
        try:
            held = what  # a local variable with the secret in it
            raise ValueError(held)
        except ValueError:
            log.exception("it failed")
    text = whole(lines)
    assert text
    assert not SECRET.search(text.replace(" ", "") if "groups" in attack else text), text


def test_the_attack_would_be_noticed_without_the_redaction() -> None:
    for attack, what in ATTACKS.items():
        assert SECRET.search(f"{what}".replace("%5F", "_").replace(" ", "")) or "header" in attack, attack


def test_the_first_eight_characters_of_a_token_and_the_prefix_of_a_key_help_to_find_them(lines: Lines) -> None:
    logging.getLogger("x").warning("token %s key %s", APNS_TOKEN, KEY)
    assert f"token {APNS_TOKEN[:8]}…" in whole(lines)
    assert KEY[:11] in whole(lines)


def test_what_is_no_secret_stays(lines: Lines) -> None:
    message = (
        "a1b2c3d4e5f6-1f apns_bad_device_token https://api.push.apple.com/3 com.mattermost.rnbeta basic authentication"
    )
    logging.getLogger("x").warning(message)
    assert message in whole(lines)


def test_the_secrets_of_the_settings_are_among_them(lines: Lines) -> None:
    logging.getLogger("x").warning("%s|%s", settings.SECRET_KEY, settings.VAULT_KEYS)
    assert settings.SECRET_KEY not in whole(lines)
    assert settings.VAULT_KEYS[0].partition(":")[2] not in whole(lines)


def test_one_event_is_one_line_whatever_a_stranger_puts_into_it(lines: Lines) -> None:
    logging.getLogger("x").warning("platform %s", "a\nERROR forged\r\x1b[31m\u2028b")
    (line,) = lines()
    assert "\x1b" not in line


def test_the_lines_of_a_traceback_cannot_be_taken_for_events(lines: Lines) -> None:
    try:
        raise ValueError("a\nERROR forged")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    first, *more = lines()
    assert "it failed" in first
    assert all(line.startswith("    ") for line in more)
    assert "ValueError" in whole(lines)


def test_a_traceback_shows_no_variables(lines: Lines) -> None:
    def inner(secret_argument: str) -> None:
        raise RuntimeError(len(secret_argument))

    try:
        inner("abracadabra" * 1)
    except RuntimeError:
        logging.getLogger("x").exception("it failed")
    assert whole(lines).count("abracadabra") == 1  # the line of code itself


def test_a_line_in_json_says_when_where_who_and_what() -> None:
    stream = io.StringIO()
    handler = setup.Handler(stream)
    handler.setFormatter(setup.Formatter("json"))
    record = logging.LogRecord("delivery.worker.dispatch", logging.ERROR, __file__, 1, "push %s", ("failed",), None)
    record.trace, record.code, record.request = "abc-1", "no_app", object()
    handler.emit(record)
    line = json.loads(stream.getvalue())
    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "error", "role": setup.role(), "pid": os.getpid(), "logger": "delivery.worker.dispatch",
        "event": "push failed",
        "trace": "abc-1", "code": "no_app",
    }  # fmt: skip


def test_a_line_that_cannot_be_made_shows_nothing_of_its_arguments() -> None:
    stream = io.StringIO()
    handler = setup.Handler(stream)
    handler.setFormatter(setup.Formatter("json"))
    handler.handle(logging.LogRecord("x", logging.ERROR, __file__, 1, "%d pushes", (TEXT,), None))
    output = stream.getvalue()
    assert "could not be written: TypeError" in output
    assert "test_setup.py:" in output
    assert "launch" not in output


def test_every_field_that_our_code_logs_is_one_that_is_shown() -> None:
    used = set()
    for path in [*ROOT.glob("delivery/**/*.py"), *ROOT.glob("hpns/**/*.py"), *ROOT.glob("tenants/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "extra" and isinstance(node.value, ast.Dict):
                used |= {key.value for key in node.value.keys if isinstance(key, ast.Constant)}
    assert "trace" in used
    assert used <= set(setup.FIELDS)


@pytest.mark.parametrize("name", ["celery.worker.strategy", "httpx", "django.request", "kombu.connection"])
def test_what_libraries_chat_about_is_not_logged(lines: Lines, name: str) -> None:
    logging.getLogger(name).info("chat")
    assert not lines()


@pytest.mark.parametrize("name", ["celery.worker", "kombu.connection", "django.db.backends", "google.auth"])
def test_what_goes_wrong_in_libraries_is_logged_by_us(lines: Lines, name: str) -> None:
    logging.getLogger(name).error("broken")
    assert len(lines()) == 1


def test_django_sends_no_mails_and_writes_nothing_by_itself() -> None:
    names = ["", "django", "django.server", "django.request", "celery"]
    kinds = [type(handler) for name in names for handler in logging.getLogger(name).handlers]
    assert all(kind is setup.Handler or kind.__module__.startswith("_pytest") for kind in kinds)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "hpns.settings_test", "LOG_FORMAT": "json", **environment}
    return subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_process_that_dies_of_an_error_says_so_in_a_redacted_line() -> None:
    done = run(f"import django; django.setup(); raise ValueError('no such key: {KEY}')")
    assert done.returncode == 1
    line = json.loads(done.stderr)
    assert line["level"] == "critical"
    assert "ValueError: no such key" in line["exception"]
    assert KEY not in done.stderr


def test_a_thread_that_dies_of_an_error_says_so_in_a_redacted_line() -> None:
    code = "import django, threading; django.setup()\ndef work(): raise ValueError('%s')\n"
    done = run(code % KEY + "t = threading.Thread(target=work); t.start(); t.join()")
    assert "ValueError" in json.loads(done.stderr)["exception"]
    assert KEY not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "role"),
    [
        (["/x/hpns/worker.py"], "worker"),
        (["/x/hpns/ingest.py", "--port", "1"], "ingest"),
        (["/x/hpns/asgi.py", "--listener", "3", "--control", "4"], "ingest"),
        (["/x/celery/__main__.py", "-A", "hpns.celery", "beat"], "beat"),
        (["manage.py", "migrate"], "migrate"),
    ],
)
def test_a_process_knows_its_role_by_its_command_line(arguments: list[str], role: str) -> None:
    code = f"import sys; sys.argv = {arguments!r}; from hpns.logs import setup; print(setup.role())"
    assert run(code).stdout == role + "\n"


def test_the_level_comes_from_the_environment() -> None:
    code = "import django, logging; django.setup(); logging.getLogger('x').info('hello')"
    assert "hello" in run(code, LOG_LEVEL="INFO").stderr
    assert "hello" not in run(code, LOG_LEVEL="WARNING").stderr


def test_celery_keeps_its_hands_off() -> None:
    code = (
        "import logging\nfrom hpns.celery import app\nimport django\ndjango.setup()\n"
        "app.log.setup(loglevel='DEBUG')\n"
        "for name in ('celery.worker', 'delivery'): logging.getLogger(name).info(name)\n"
        "logging.getLogger('x').debug('too much')"
    )
    done = run(code)
    assert [json.loads(line)["logger"] for line in done.stderr.splitlines()] == [
        "celery.worker",
        "delivery",
    ]
    assert not done.stdout
