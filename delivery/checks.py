"""System checks of what the path of a push needs: deadlines, origins and proxy, the log's retention."""

import re
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution

from tenants.providers.table import PROVIDERS

ORIGINS: Final = tuple(name for provider in PROVIDERS.values() for name in provider.origins)
# An entry of NO_PROXY: a host or the end of one, an IPv6 address among them, and a port.
_HOST: Final = re.compile(r"\*|\*?\.?[\w.-]+(:\d+)?|[0-9a-f:.]+", re.IGNORECASE)
# Seconds after which a Mattermost server gives a push up (its httpservice's RequestTimeout).
MATTERMOST_TIMEOUT: Final = 30
# Seconds within which a push in the queue is surely known to be on its disk, which is synced once a second.
SAVED_SECONDS: Final = 3
# Bytes of the longest push that a Mattermost server sends: 16,383 characters of text and its attachments' fallbacks.
LONGEST_PUSH: Final = 64 * 1024


def settings_are_usable(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """delivery.E001 to E007, W001, W002; see the texts."""
    return [*_origins(), *_egress(), *_deadlines(), *_bounds()]


def _origins() -> Iterator[CheckMessage]:
    for name in ORIGINS:
        try:
            parts = urlsplit(getattr(settings, name))
            wrong = parts.scheme != "https" or not parts.hostname or parts.port == 0
            wrong = wrong or bool(parts.path or parts.query or parts.fragment or parts.username)
        except ValueError:
            wrong = True
        if wrong:
            text = (
                f"{name} is no origin of the form https://HOST[:PORT]: pushes would not be sent, or not be encrypted."
            )
            yield Error(text, hint="Leave it empty for the provider's own.", id="delivery.E001")


def _egress() -> Iterator[CheckMessage]:
    path = settings.PROVIDER_CA_FILE
    if path:
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:  # ssl.SSLError is one
            reason = "it holds no certificates" if isinstance(error, ssl.SSLError) else str(error.strerror)
            hint = "It is a PEM file of the certification authorities to trust; leave it empty for the public ones."
            yield Error(f"PROVIDER_CA_FILE is unusable: {path}: {reason}.", hint=hint, id="delivery.E002")
    if settings.HTTPS_PROXY:
        try:
            parts = urlsplit(settings.HTTPS_PROXY)
            wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
        except ValueError:
            wrong = True
        if wrong:
            hint = "It has the form http://[USER:PASSWORD@]HOST:PORT; %-escape what is special in it."
            yield Error("HTTPS_PROXY is unusable.", hint=hint, id="delivery.E003")
    for number, entry in enumerate(settings.NO_PROXY.split(","), 1):
        if entry.strip() and not _HOST.fullmatch(entry.strip()):
            hint = "Entries look like push.apple.com or push.apple.com:443, without a scheme; * is all hosts."
            text = f"Entry {number} of NO_PROXY is no host and has no effect."  # it may hold a password
            yield Caution(text, hint=hint, id="delivery.W002")


def _deadlines() -> Iterator[CheckMessage]:
    if not 0 < settings.ATTEMPT_DEADLINE < settings.PUSH_DEADLINE:
        text = (
            f"ATTEMPT_DEADLINE ({settings.ATTEMPT_DEADLINE:g} s) does not lie between 0 and PUSH_DEADLINE "
            f"({settings.PUSH_DEADLINE:g} s): servers would be told OK for pushes that then fail."
        )
        yield Error(text, hint="A second between them leaves time for the way back.", id="delivery.E004")
    if settings.PUSH_DEADLINE >= MATTERMOST_TIMEOUT:
        text = (
            f"PUSH_DEADLINE is {settings.PUSH_DEADLINE:g} s; a Mattermost server gives a push up after "
            f"{MATTERMOST_TIMEOUT} s, and each one that waits holds up others."
        )
        yield Error(text, hint="Keep it far below; 5 is the default.", id="delivery.E005")
    if settings.PUSH_DEADLINE < SAVED_SECONDS:
        text = (
            f"PUSH_DEADLINE is {settings.PUSH_DEADLINE:g} s: a push without a result by then is told FAIL, for it may "
            "not be on the queue's disk yet."
        )
        hint = f"Keep it at {SAVED_SECONDS} or more, or let Valkey sync each write (appendfsync always)."
        yield Caution(text, hint=hint, id="delivery.W001")


def _bounds() -> Iterator[CheckMessage]:
    if settings.RETENTION_DAYS < 1:
        text = f"RETENTION_DAYS is {settings.RETENTION_DAYS}: the delivery log would be dropped as it is written."
        yield Error(text, hint="45 is the default.", id="delivery.E006")
    for name, least in (("BODY_LIMIT", LONGEST_PUSH), ("BODY_DEADLINE", 1), ("WAITING_LIMIT", 1)):
        if getattr(settings, name) < least:
            text = f"{name} is {getattr(settings, name):g}: ordinary pushes would be refused."
            yield Error(text, hint=f"It must be at least {least}.", id="delivery.E007")
