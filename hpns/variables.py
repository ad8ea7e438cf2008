"""Reads variables of the environment. Invariant: a value that cannot be read is named, and so is what it should be.

What can be said of a value that was read is said by the system checks (checks/), all of it at once; here stands only
what would keep the settings from being read at all.
"""

import base64
import binascii
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import environ
from django.core.exceptions import ImproperlyConfigured

from hpns.postgresql import timeouts
from tenants import network

ENGINE = "hpns.postgresql"
DATABASE_SCHEMES = ("postgresql", "postgres")
_BOOLEANS = ("true", "on", "ok", "y", "yes", "1", "false", "off", "n", "no", "0", "")

# What stands in a text that names whom to ask, where nobody is named.
NO_SUPPORT_CONTACT: Final = "whoever operates this push service"
PASSWORD_VALIDATORS: Final[list[dict[str, Any]]] = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "tenants.accounts.password_validators.MaximumLengthValidator"},
    {"NAME": "tenants.accounts.password_validators.RepetitionValidator"},
]


class Variables(environ.Env):  # type: ignore[misc]
    """An environ.Env whose numbers and switches say which variable is wrong. All raise ImproperlyConfigured."""

    def int(self, var: str, default: Any = environ.Env.NOTSET) -> int:
        """A whole number."""
        return int(self._read(super().int, var, default, "a whole number such as 30"))

    def float(self, var: str, default: Any = environ.Env.NOTSET) -> float:
        """A number with a point."""
        # environ's own drops what is no digit: "5s" would be read as 5, and "5 min" too.
        return float(
            self._read(lambda var, default: float(self.str(var, default=default)), var, default, "a number such as 4.5")
        )

    def bool(self, var: str, default: Any = environ.Env.NOTSET) -> bool:
        """A switch."""
        value = str(self.str(var, default="")).strip().lower()
        if value not in _BOOLEANS:
            raise ImproperlyConfigured(f"{var} is {value[:20]!r}; it must be true or false.")
        return bool(self._read(super().bool, var, default, "true or false"))

    @staticmethod
    def _read(read: Any, var: str, default: Any, what: str) -> Any:
        try:
            return read(var, default=default)
        except ValueError as error:
            raise ImproperlyConfigured(f"{var} cannot be read; it must be {what}.") from error


def database(url: str) -> dict[str, Any]:
    """Django's settings of a database by its URL; for one that is missing or wrong, settings that lead nowhere."""
    nowhere = {"ENGINE": ENGINE}
    if url.partition("://")[0] not in DATABASE_SCHEMES:
        return nowhere
    try:
        return {**environ.Env.db_url_config(url), **nowhere}
    except ValueError:
        return nowhere


def email(url: str) -> dict[str, Any]:
    """Django's settings of e-mail by its URL; "" prints it. Raises ImproperlyConfigured, quoting nothing of the URL."""
    try:
        found = dict(environ.Env.email_url_config(url or "consolemail://"))
    except (ImproperlyConfigured, ValueError):
        found = {}
    backend = found.get("EMAIL_BACKEND", "")
    if not backend or (backend.endswith("smtp.EmailBackend") and not found["EMAIL_HOST"]):
        text = "EMAIL_URL cannot be read; it must be such as smtp+tls://USER:PASSWORD@HOST:587, %-escaped."
        raise ImproperlyConfigured(text) from None
    if not found["EMAIL_PORT"]:
        found["EMAIL_PORT"] = 587 if found.get("EMAIL_USE_TLS") else 465 if found.get("EMAIL_USE_SSL") else 25
    return {name: value for name, value in found.items() if name.startswith("EMAIL_") and value}


def cookie_names(https_only: bool) -> tuple[str, str]:
    """The cookies of sessions and of CSRF tokens. https://www.rfc-editor.org/rfc/rfc6265 knows no such prefix yet:
    https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes"""
    prefix = "__Host-" if https_only else ""
    return f"{prefix}sessionid", f"{prefix}csrftoken"


def owners_url(role: str, owner: str, *others: str) -> str:
    """The owner's URL as a process of this role may know it: "" where it is never the owner, having its own."""
    return "" if role in ("web", "pages") and all(others) else owner


def workers_url(role: str, worker: str, directory: str) -> str:
    """The worker's URL as a process of this role may know it: "" where it reads the directory by a role of its own."""
    return "" if role in ("web", "pages") and directory else worker


def databases(role: str, *, owner: str, pages: str, worker: str, directory: str) -> dict[str, dict[str, Any]]:
    """Django's DATABASES of a process with this role, by the URLs of the four: the owner where it has none.

    "default" is the role's own. Where that is another one, a worker has "owner" for the log's partitions and for
    what is kept of erased customers, and the pages process "directory", for the directory of keys, by that role's
    URL or, where there is none, the worker's; the pages' role itself gets no way to the owner's. A web process
    ("web") reads the directory and nothing else.
    """
    reader = directory or worker
    own = {"pages": pages, "worker": worker, "web": reader}.get(role) or owner
    by_role = {"pages": timeouts.PAGES, "worker": timeouts.WORKER, "web": timeouts.WORKER}
    found = {"default": _connection(own, by_role.get(role, timeouts.COMMANDS))}
    if role == "worker" and owner not in ("", own):
        found["owner"] = _connection(owner, timeouts.OWNER)
    if role != "worker" and reader not in ("", own):
        found["directory"] = _connection(reader, timeouts.WORKER)
    return found


def _connection(url: str, limits: timeouts.Timeouts) -> dict[str, Any]:
    values = {**database(url), "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    values["OPTIONS"] = timeouts.options(limits, values.get("OPTIONS", {}))
    return values


def proxy(*given: str) -> str:
    """The URL of the first outgoing proxy that is set, "" for none; HOST:PORT alone is one that speaks plain HTTP."""
    first = next((text.strip() for text in given if text.strip()), "")
    return f"http://{first}" if first and "://" not in first else first


def key(name: str, text: str) -> bytes:
    """The bytes of a key in urlsafe base64; no word of it stands in the error."""
    try:
        return base64.b64decode(text.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImproperlyConfigured(f"{name} is not urlsafe base64.") from error


def networks(name: str, entries: Iterable[str]) -> tuple[network.Network, ...]:
    """The networks in a variable that lists them. Raises ImproperlyConfigured, which names the entry that is none."""
    try:
        return network.networks(filter(None, map(str.strip, entries)))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}.") from error


def templates(folder: Path, *processors: str) -> list[dict[str, Any]]:
    """Django's setting of this name: templates in `folder` and in the apps', which know what `processors` add."""
    usual = ("template.context_processors.request", "contrib.auth.context_processors.auth")
    known = [*(f"django.{name}" for name in (*usual, "contrib.messages.context_processors.messages")), *processors]
    engine = "django.template.backends.django.DjangoTemplates"
    return [{"BACKEND": engine, "DIRS": [folder], "APP_DIRS": True, "OPTIONS": {"context_processors": known}}]
