"""System checks of the settings: what is missing or weak is named with a hint, all of it at once, and never quoted.

hpns.E: the service cannot work; hpns.W: it works, and something is wrong. tls.py has the certificate's
(020 to 029); stores.py and roles.py have those that ask the servers (030 to 039).
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured
from kombu.transport import TRANSPORT_ALIASES

from hpns.logs import setup
from hpns.variables import DATABASE_SCHEMES, NO_SUPPORT_CONTACT
from tenants import redis_client

KEY_MIN_LENGTH: Final = 32
TOKEN_MIN_LENGTH: Final = 16
MAKE_KEY: Final = 'Make one with: python -c "import secrets; print(secrets.token_urlsafe(50))"'
# All that kombu knows but the names of our own transport (hpns/celery), by which no server is called elsewhere.
BROKER_SCHEMES: Final = tuple(scheme for scheme in TRANSPORT_ALIASES if not scheme.startswith("valkey"))
DATABASE_FORM: Final = "It has the form postgresql://USER:PASSWORD@HOST:5432/NAME; %-escape what is special in it."
# Of DELIVER_FROM: the web processes themselves while all is well, or workers alone.
SENDERS: Final = ("web", "workers")
# One more than there are.
PORTS: Final = 65_536
REDIS_FORM: Final = "It has the form redis://:PASSWORD@HOST:6379/0, or rediss:// with TLS."


def settings_are_usable(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E001 to E006, E010 to E013, W001 to W006; see the texts."""
    return [*_secret_key(), *_web(), *_stores(), *_watching()]


def settings_are_for_production(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """For a deployment. E007: DEBUG; E008: the stores for trying out; E009: no address for links; W009, W010: what
    others could read or change; W011, W012: e-mail that would not arrive; W013, W014: nobody to be asked; W015:
    metrics that are no whole."""
    found: list[CheckMessage] = []
    if settings.DEBUG:
        text = "DEBUG is on: whoever causes an error is shown our settings and variables."
        found.append(Error(text, hint="Set DEBUG=false.", id="hpns.E007"))
    if settings.EMBEDDED_STORES:
        text = "PostgreSQL and Valkey are the embedded ones, which are for trying out."
        hint = "Set DATABASE_URL and REDIS_URL to servers that somebody looks after, backs up and updates."
        found.append(Error(text, hint=hint, id="hpns.E008"))
    if settings.TRUSTED_PROXIES and not settings.METRICS_TOKEN:
        text = "METRICS_TOKEN is not set: behind a proxy nobody can read /metrics."
        hint = 'Make one with: python -c "import secrets; print(secrets.token_urlsafe(24))"'
        found.append(Caution(text, hint=hint, id="hpns.W009"))
    if not settings.PUBLIC_URL:
        text = "PUBLIC_URL is not set: nobody can be invited, because the links in e-mails are made of it."
        found.append(Error(text, hint="Set it to such as https://push.example.com.", id="hpns.E009"))
    if not settings.EMAIL_URL:
        text = "EMAIL_URL is not set: invitations are printed by the pages process instead of being sent."
        hint = "Set it to such as smtp+tls://USER:PASSWORD@mail.example.com:587; %-escape what is special in it."
        found.append(Caution(text, hint=hint, id="hpns.W011"))
    elif settings.DEFAULT_FROM_EMAIL.endswith("@localhost"):
        text = "DEFAULT_FROM_EMAIL is not set: mail servers refuse what comes from localhost."
        found.append(Caution(text, hint="Set it to such as push@example.com.", id="hpns.W012"))
    if not settings.OPERATOR_EMAIL:
        text = "OPERATOR_EMAIL is not set: nobody is told of requests for erasure and of refused credentials."
        found.append(Caution(text, hint="Set it to addresses such as ops@example.com.", id="hpns.W013"))
    if settings.SUPPORT_CONTACT in ("", NO_SUPPORT_CONTACT):
        text = "SUPPORT_CONTACT is not set: customers are told to ask somebody whom no page names."
        hint = "Set it to an e-mail address or a page, such as support@example.com."
        found.append(Caution(text, hint=hint, id="hpns.W014"))
    if settings.PUBLIC_URL.startswith("http:"):
        text = "PUBLIC_URL is not https: server keys and messages would travel in the clear."
        hint = "Set TLS_CERT_FILE and TLS_KEY_FILE, or put a proxy with TLS in front and name it in TRUSTED_PROXIES."
        found.append(Caution(text, hint=hint, id="hpns.W010"))
    if not settings.METRICS_DIR:
        text = "METRICS_DIR is not set: /metrics shows one process alone, and so the outcome of no push."
        hint = "Set it to a folder that the web process, the workers and the timetable of this machine write to."
        found.append(Caution(text, hint=hint, id="hpns.W015"))
    return found


def _secret_key() -> Iterator[CheckMessage]:
    try:
        key = settings.SECRET_KEY
    except ImproperlyConfigured:
        yield Error("SECRET_KEY is not set: nobody can log in.", hint=MAKE_KEY, id="hpns.E001")
        return
    if len(key) < KEY_MIN_LENGTH:
        text = f"SECRET_KEY has {len(key)} characters; it should have at least {KEY_MIN_LENGTH}, and better 50."
        yield Caution(text, hint=MAKE_KEY, id="hpns.W001")


def _web() -> Iterator[CheckMessage]:
    if not settings.ALLOWED_HOSTS and not settings.DEBUG:
        text = "ALLOWED_HOSTS is empty: no page would be shown, and /health/ready would answer 400."
        hint = "Set it to the names under which browsers reach the service, such as push.example.com."
        yield Caution(text, hint=hint, id="hpns.W002")
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        if not urlsplit(origin).scheme or not urlsplit(origin).netloc:
            text = "CSRF_TRUSTED_ORIGINS has an entry without a scheme: forms would be refused."
            yield Error(text, hint="Entries look like https://push.example.com.", id="hpns.E002")
    if settings.PUBLIC_URL and not _is_address(settings.PUBLIC_URL):
        text = (
            "PUBLIC_URL is no address: links in e-mails, and what customers copy out of the pages, would lead nowhere."
        )
        yield Error(text, hint="Set it to such as https://push.example.com.", id="hpns.E010")
    if not 0 < settings.PORT < PORTS:
        yield Error(f"PORT is {settings.PORT}, which is no port.", hint=f"Use 1 to {PORTS - 1}.", id="hpns.E011")
    if settings.INGEST_WORKERS < 1:
        text = f"INGEST_WORKERS is {settings.INGEST_WORKERS}: nothing would take a push."
        yield Error(text, hint="Use 1 or more.", id="hpns.E012")
    if settings.SECURE_HSTS_SECONDS < 0:
        text = f"HSTS_SECONDS is {settings.SECURE_HSTS_SECONDS}, which no browser reads."
        yield Error(text, hint="Use 0 for none.", id="hpns.E013")


def _stores() -> Iterator[CheckMessage]:
    needs_owner = settings.DATABASE_ROLE not in ("web", "pages") or not (
        settings.PAGES_DATABASE_URL and (settings.DIRECTORY_DATABASE_URL or settings.WORKER_DATABASE_URL)
    )
    if not settings.DATABASE_URL and not needs_owner:
        pass  # these processes never act as the owner
    elif not settings.DATABASE_URL:
        text = "DATABASE_URL is not set: there is nowhere to keep customers and the delivery log."
        yield Error(text, hint=DATABASE_FORM, id="hpns.E003")
    elif fault := _url_fault(settings.DATABASE_URL, DATABASE_SCHEMES):
        yield Error(f"DATABASE_URL is unusable: {fault}.", hint=DATABASE_FORM, id="hpns.E004")
    elif not urlsplit(settings.DATABASE_URL).path.strip("/"):
        yield Error("DATABASE_URL is unusable: it names no database.", hint=DATABASE_FORM, id="hpns.E004")
    for name in ("PAGES_DATABASE_URL", "WORKER_DATABASE_URL", "DIRECTORY_DATABASE_URL"):
        url = getattr(settings, name)
        if url and (fault := _url_fault(url, DATABASE_SCHEMES)):
            yield Error(f"{name} is unusable: {fault}.", hint=DATABASE_FORM, id="hpns.E004")
    if not settings.REDIS_URL:
        text = "REDIS_URL is not set: there is no queue, and no push could be taken."
        yield Error(text, hint=REDIS_FORM, id="hpns.E005")
    elif fault := _url_fault(settings.REDIS_URL, redis_client.SCHEMES):
        yield Error(f"REDIS_URL is unusable: {fault}.", hint=REDIS_FORM, id="hpns.E006")
    # sun_path of unix(7), with the zero at its end.
    if settings.REDIS_SOCKET and not (
        settings.REDIS_SOCKET.startswith("/") and len(settings.REDIS_SOCKET.encode()) < 108
    ):
        text = "REDIS_SOCKET is unusable: it is no absolute path of at most 107 bytes."
        yield Error(text, hint="Set it to such as /run/valkey/valkey.sock, or leave it empty.", id="hpns.E006")
    broker = settings.CELERY_BROKER_URL
    if broker != settings.REDIS_URL:
        fault = _url_fault(broker, BROKER_SCHEMES)
        if not fault and urlsplit(broker).scheme in redis_client.SCHEMES:
            fault = "it is a Valkey or Redis other than REDIS_URL, into which pushes go: no worker would take them"
        if fault:
            hint = "Leave it empty for REDIS_URL, or set amqp://USER:PASSWORD@HOST:5672/VHOST for RabbitMQ."
            yield Error(f"CELERY_BROKER_URL is unusable: {fault}.", hint=hint, id="hpns.E006")
    if settings.DELIVER_FROM not in SENDERS:
        text = f"DELIVER_FROM is {settings.DELIVER_FROM[:20]!r}, which says of nobody that it sends pushes."
        yield Error(text, hint=f"It is one of {', '.join(SENDERS)}.", id="hpns.E006")


def _url_fault(url: str, schemes: Sequence[str]) -> str:
    """The fault of a URL, "" for none; no part of it that may be secret."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "it cannot be taken apart; is a special character in the password not escaped?"
    if parts.scheme not in schemes:
        return f"it begins with {parts.scheme[:20]!r}" if parts.scheme else "it has no scheme"
    if not parts.hostname and "memory" not in parts.scheme:
        return "it names no host"
    return "its port is 0" if port == 0 else ""


def _watching() -> Iterator[CheckMessage]:
    if settings.LOG_LEVEL.upper() not in setup.LEVELS:
        text = f"LOG_LEVEL is {settings.LOG_LEVEL[:20]!r}, which is no level; INFO is used."
        yield Caution(text, hint=f"It is one of {', '.join(setup.LEVELS)}.", id="hpns.W003")
    if settings.LOG_FORMAT not in setup.FORMATS:
        text = f"LOG_FORMAT is {settings.LOG_FORMAT[:20]!r}, which is no format; plain is used."
        yield Caution(text, hint=f"It is one of {', '.join(setup.FORMATS)}.", id="hpns.W004")
    if 0 < len(settings.METRICS_TOKEN) < TOKEN_MIN_LENGTH:
        text = f"METRICS_TOKEN has {len(settings.METRICS_TOKEN)} characters and could be guessed."
        yield Caution(text, hint=f"Use at least {TOKEN_MIN_LENGTH} random ones.", id="hpns.W005")
    folder = settings.METRICS_DIR and Path(settings.METRICS_DIR)
    if folder and not _can_be_written(folder):
        text = "METRICS_DIR is no folder that we may write to: each process would show its own counts only."
        yield Caution(text, hint=f"Make {folder} a folder of the service's user.", id="hpns.W006")


def _can_be_written(folder: Path) -> bool:
    """Whether the folder is there, or can be made, for us to write to."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _is_address(text: str) -> bool:
    """Whether it is one of a web site: a scheme, a host, perhaps a port."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
