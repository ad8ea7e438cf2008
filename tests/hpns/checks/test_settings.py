"""Each system check fires on what it is for, and is silent on a good environment. Nothing secret stands in a text."""

import ipaddress
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import pytest
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from delivery import checks as delivery_checks
from hpns import variables
from hpns.checks import settings as checks
from hpns.checks import stores as checks_stores
from hpns.checks import tls
from hpns.local import verify
from tenants import checks as tenants_checks

ROOT = Path(__file__).resolve().parents[3]
DEFAULT = ["default"]
GOOD: dict[str, Any] = {
    "SECRET_KEY": "k" * 50,
    "DEBUG": False,
    "ALLOWED_HOSTS": ["push.example.com"],
    "CSRF_TRUSTED_ORIGINS": ["https://push.example.com"],
    "PUBLIC_URL": "https://push.example.com",
    "EMAIL_URL": "smtp+tls://u:s3cr3t@mail.example.com:587",
    "DEFAULT_FROM_EMAIL": "push@example.com",
    "OPERATOR_EMAIL": ["ops@example.com"],
    "SUPPORT_CONTACT": "support@example.com",
    "DATABASE_URL": "postgresql://u:pa%2Fss@db:5432/hpns",
    "REDIS_URL": "redis://:pass@valkey:6379/0",
    "CELERY_BROKER_URL": "redis://:pass@valkey:6379/0",
    "EMBEDDED_STORES": False,
    "TRUSTED_PROXIES": (),
    "METRICS_TOKEN": "",
    "METRICS_DIR": "/var/tmp/hpns/metrics",  # noqa: S108
    "LOG_LEVEL": "INFO",
    "LOG_FORMAT": "json",
    "TLS_CERT_FILE": "",
    "TLS_KEY_FILE": "",
    "APNS_ORIGIN": "https://api.push.apple.com",
    "APNS_SANDBOX_ORIGIN": "https://127.0.0.1:2197",
    "FCM_ORIGIN": "https://fcm.googleapis.com",
    "GOOGLE_TOKEN_ORIGIN": "https://oauth2.googleapis.com",
    "PROVIDER_CA_FILE": "",
    "SITE_CA_FILE": "",
    "HTTPS_PROXY": "",
    "ATTEMPT_DEADLINE": 4.0,
    "PUSH_DEADLINE": 5.0,
    "RETENTION_DAYS": 30,
    "BODY_LIMIT": 262144,
    "BODY_DEADLINE": 10.0,
    "WAITING_LIMIT": 20000,
}


@pytest.fixture
def good(settings: Settings) -> Settings:
    """A good environment, to be spoilt in one place."""
    for name, value in GOOD.items():
        setattr(settings, name, value)
    return settings


def found() -> list[CheckMessage]:
    hpns = (checks.settings_are_usable, checks.settings_are_for_production, tls.certificate_is_usable)
    every = (*hpns, delivery_checks.settings_are_usable, tenants_checks.site_ca_file_is_readable)
    return [message for check in every for message in check(None)]


def test_a_good_environment_gives_no_message(good: Settings) -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SECRET_KEY", "short-secret", "hpns.W001"),
        ("ALLOWED_HOSTS", [], "hpns.W002"),
        ("CSRF_TRUSTED_ORIGINS", ["push.example.com"], "hpns.E002"),
        ("DATABASE_URL", "", "hpns.E003"),
        ("DATABASE_URL", "mysql://u:s3cr3t@h/db", "hpns.E004"),
        ("DATABASE_URL", "u:s3cr3t@h/db", "hpns.E004"),
        ("DATABASE_URL", "postgresql://u:s3cr3t#1@h:5432/db", "hpns.E004"),
        ("DATABASE_URL", "postgresql://u:s3cr3t@h:5432/", "hpns.E004"),
        ("DATABASE_URL", "postgresql:///db", "hpns.E004"),
        ("REDIS_URL", "", "hpns.E005"),
        ("REDIS_URL", "valkey://:s3cr3t@h", "hpns.E006"),
        ("REDIS_URL", "redis://:s3cr3t/1@h:1", "hpns.E006"),
        ("REDIS_URL", "unix:///run/s3cr3t.sock", "hpns.E006"),
        ("REDIS_SOCKET", "run/s3cr3t.sock", "hpns.E006"),
        ("REDIS_SOCKET", "/" + "s3cr3t" * 20, "hpns.E006"),
        ("CELERY_BROKER_URL", "rabbit://u:s3cr3t@h//", "hpns.E006"),
        ("CELERY_BROKER_URL", "redis://:s3cr3t@another:6379/0", "hpns.E006"),
        ("CELERY_BROKER_URL", "redis://:pass@valkey:6379/1", "hpns.E006"),
        ("CELERY_BROKER_URL", "rediss://:s3cr3t@valkey:6379/0", "hpns.E006"),
        ("CELERY_BROKER_URL", "unix:///run/s3cr3t.sock", "hpns.E006"),
        ("CELERY_BROKER_URL", "valkey://:s3cr3t@h", "hpns.E006"),
        ("DELIVER_FROM", "nobody", "hpns.E006"),
        ("DEBUG", True, "hpns.E007"),
        ("EMBEDDED_STORES", True, "hpns.E008"),
        ("TRUSTED_PROXIES", (ipaddress.ip_network("10.0.0.0/8"),), "hpns.W009"),
        ("PUBLIC_URL", "http://push.example.com", "hpns.W010"),
        ("PUBLIC_URL", "", "hpns.E009"),
        ("EMAIL_URL", "", "hpns.W011"),
        ("DEFAULT_FROM_EMAIL", "push-service@localhost", "hpns.W012"),
        ("OPERATOR_EMAIL", [], "hpns.W013"),
        ("SUPPORT_CONTACT", variables.NO_SUPPORT_CONTACT, "hpns.W014"),
        ("LOG_LEVEL", "LOUD", "hpns.W003"),
        ("LOG_FORMAT", "xml", "hpns.W004"),
        ("METRICS_TOKEN", "s3cr3t", "hpns.W005"),
        ("METRICS_DIR", "/dev/null/metrics", "hpns.W006"),
        ("METRICS_DIR", __file__, "hpns.W006"),
        ("METRICS_DIR", "", "hpns.W015"),
        ("APNS_ORIGIN", "http://api.push.apple.com", "delivery.E001"),
        ("APNS_SANDBOX_ORIGIN", "https://", "delivery.E001"),
        ("FCM_ORIGIN", "https://fcm.googleapis.com/v1", "delivery.E001"),
        ("GOOGLE_TOKEN_ORIGIN", "https://h:port", "delivery.E001"),
        ("PROVIDER_CA_FILE", "/nowhere/ca.pem", "delivery.E002"),
        ("PROVIDER_CA_FILE", __file__, "delivery.E002"),
        ("SITE_CA_FILE", "/nowhere/ca.pem", "tenants.E008"),
        ("SITE_CA_FILE", __file__, "tenants.E008"),
        ("HTTPS_PROXY", "proxy:3128", "delivery.E003"),
        ("HTTPS_PROXY", "socks5://u:s3cr3t@proxy:3128", "delivery.E003"),
        ("HTTPS_PROXY", "http://u:s3cr3t/@proxy:3128", "delivery.E003"),
        ("ATTEMPT_DEADLINE", 5.0, "delivery.E004"),
        ("ATTEMPT_DEADLINE", 0.0, "delivery.E004"),
        ("PUSH_DEADLINE", 30.0, "delivery.E005"),
        ("PUSH_DEADLINE", 2.5, "delivery.W001"),
        ("RETENTION_DAYS", 0, "delivery.E006"),
        ("BODY_LIMIT", 1000, "delivery.E007"),
        ("BODY_DEADLINE", 0.0, "delivery.E007"),
        ("WAITING_LIMIT", 0, "delivery.E007"),
    ],
)
def test_one_wrong_setting_gives_one_message_that_names_it(
    good: Settings, name: str, value: Any, expected: str
) -> None:
    setattr(good, name, value)
    if name == "REDIS_URL":
        good.CELERY_BROKER_URL = value
    if expected == "delivery.W001":
        good.ATTEMPT_DEADLINE = 2.0
    (message,) = found()
    assert message.id == expected
    assert message.hint
    assert name in message.msg or (name, expected) == ("TRUSTED_PROXIES", "hpns.W009") or name == "EMBEDDED_STORES"
    assert "s3cr3t" not in str(message)


def test_a_missing_secret_key_is_named(good: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty:
        @property
        def SECRET_KEY(self) -> str:
            raise ImproperlyConfigured("The SECRET_KEY setting must not be empty.")

    monkeypatch.setattr(checks, "settings", Empty())
    assert [message.id for message in checks._secret_key()] == ["hpns.E001"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL & CELERY_BROKER_URL", "rediss://valkey"),
        ("CELERY_BROKER_URL", "amqp://u:p@rabbit:5672/vhost"),
        ("HTTPS_PROXY", "http://u:p%40ss@proxy:3128"),
        ("HTTPS_PROXY", "https://proxy"),
        ("PROVIDER_CA_FILE", certifi.where()),
        ("SITE_CA_FILE", certifi.where()),
        ("LOG_LEVEL", "debug"),
        ("METRICS_DIR", "/tmp/hpns/not/made/yet"),  # noqa: S108
        ("METRICS_TOKEN", "x" * 16),
        ("PUSH_DEADLINE", 29.9),
    ],
)
def test_what_looks_unusual_and_is_right_gives_none(good: Settings, name: str, value: Any) -> None:
    for one in name.split(" & "):
        setattr(good, one, value)
    assert found() == []


# --- The servers


def test_the_real_postgres_is_fit(transactional_db: None) -> None:
    assert checks_stores.postgres_is_fit(None, databases=DEFAULT) == []
    assert checks_stores.postgres_is_fit(None) == []


def test_an_older_postgres_is_named(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_stores, "OLDEST_POSTGRES", 990000)
    assert [message.id for message in checks_stores.postgres_is_fit(None, databases=DEFAULT)] == ["hpns.E031"]


def test_the_real_valkey_without_its_file_is_named(settings: Settings) -> None:
    ids = [message.id for message in checks_stores.valkey_is_durable(None, databases=DEFAULT)]
    assert set(ids) <= {"hpns.W030", "hpns.W031"}  # bin/test's own keeps none; one named by REDIS_URL may


def test_a_valkey_that_does_not_answer_is_named(settings: Settings) -> None:
    settings.REDIS_URL = "redis://:s3cr3t@127.0.0.1:1/0"
    assert checks_stores.valkey_is_durable(None) == []
    (message,) = checks_stores.valkey_is_durable(None, databases=DEFAULT)
    assert message.id == "hpns.E032"
    assert "s3cr3t" not in str(message)


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({}, []),
        ({"aof_enabled": 0}, ["hpns.W030"]),
        ({"maxmemory": 0}, ["hpns.W031"]),
        ({"connected_slaves": 1}, ["hpns.W032"]),
        ({"connected_slaves": 1, "min_slaves_good_slaves": 1}, []),
        ({"maxmemory_policy": "allkeys-lru"}, ["hpns.E034"]),
        ({"redis_version": "6.2.14"}, ["hpns.E033"]),
    ],
)
def test_what_a_valkey_says_of_itself_is_judged(info: dict[str, Any], expected: list[str]) -> None:
    good = {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "aof_enabled": 1, "maxmemory": 1 << 30}
    assert [message.id for message in checks_stores.check_info({**good, **info})] == expected


# --- The whole command


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    wanted = ("DATABASE_URL", "REDIS_URL", "PATH", "PYTHONPYCACHEPREFIX")
    stores = {name: os.environ[name] for name in wanted if name in os.environ}
    command = [sys.executable, "manage.py", "check", *arguments]
    return subprocess.run(command, env={**stores, **environment}, cwd=ROOT, capture_output=True, text=True, check=False)


def test_check_deploy_is_silent_in_a_good_production_environment() -> None:
    done = manage("--deploy", "--fail-level", "WARNING", **verify.deployment())
    assert done.returncode == 0, done.stderr


def test_check_deploy_refuses_the_embedded_stores() -> None:
    done = manage("--deploy", "--fail-level", "WARNING", **verify.deployment(), HPNS_EMBEDDED="true")
    assert done.returncode == 1
    assert "hpns.E008" in done.stderr


def test_an_empty_environment_is_answered_with_all_that_is_missing() -> None:
    done = manage(READ_DOT_ENV="false", DATABASE_URL="", REDIS_URL="")
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "VAULT_KEYS", "HASH_KEY", "ALLOWED_HOSTS"):
        assert f") {name} is" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("RETENTION_DAYS", "a month"), ("PUSH_DEADLINE", "5s"), ("DEBUG", "maybe"), ("HASH_KEY", "s3cr3t!")),
        *(("EMAIL_URL", "mailto:s3cr3t"), ("EMAIL_URL", "smtp://u:s3cr3t@"), ("EMAIL_URL", "smtp://u:s3cr3t/@h:25")),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    env = variables.Variables()
    read: dict[str, Callable[[], object]] = {
        "RETENTION_DAYS": lambda: env.int(name, default=1),
        "PUSH_DEADLINE": lambda: env.float(name, default=1),
        "DEBUG": lambda: env.bool(name, default=1),
        "HASH_KEY": lambda: variables.key(name, value),
        "EMAIL_URL": lambda: variables.email(value),
    }
    with pytest.raises(ImproperlyConfigured, match=name) as caught:
        read[name]()
    assert "s3cr3t" not in str(caught.value)


def test_variables_that_can_be_read_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("I", "7"), ("F", "2.5"), ("T", "True"), ("N", "off")):
        monkeypatch.setenv(name, value)
    env = variables.Variables()
    assert (env.int("I"), env.float("F"), env.bool("T"), env.bool("N")) == (7, 2.5, True, False)
    assert (env.int("X", default=3), env.float("X", default=0.5), env.bool("X", default=True)) == (3, 0.5, True)
    assert variables.key("K", "aGVsbG8=") == b"hello"
    assert variables.email("")["EMAIL_BACKEND"].endswith("console.EmailBackend")
    assert variables.email("filemail:////var/mail%20box")["EMAIL_FILE_PATH"] == "/var/mail box"
    assert variables.email("smtp+tls://u%40x:p%2Fq@mail.example.com") == {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": "mail.example.com",
        "EMAIL_HOST_USER": "u@x",
        "EMAIL_HOST_PASSWORD": "p/q",
        "EMAIL_PORT": 587,
        "EMAIL_USE_TLS": True,
    }
    assert variables.database("postgresql://u:p@h:5432/db")["NAME"] == "db"
    assert variables.database("nonsense") == variables.database("postgresql://h:x/db")
