"""Logging setup of every process, ours and the libraries' loggers, through structlog: one event, one line.

LOG_FORMAT json: an object per line, a traceback as one of its members. LOG_FORMAT plain, for people: one line, and a
traceback below it in lines that begin with spaces; what a stranger sent cannot begin a line. Invariant: whatever the
source of a line, the last step before it is written is hpns/logs/redaction.py, and a line that cannot be made is told
by its place in our code alone.
"""

import base64
import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO
from urllib.parse import unquote, urlsplit

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from hpns.logs.flood import FloodFilter
from hpns.logs.redaction import Redactor

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FORMATS: Final = ("json", "plain")

BASE: Final = ("at", "level", "role", "pid", "logger", "event", "exception")
# Members of a record (logging's extra=...) that are shown. Others are left out: libraries put whole requests there.
FIELDS: Final = (
    *("trace", "code", "customer", "server", "app", "credential", "provider", "host", "status", "reason", "seconds"),
    *("count", "batch", "queue", "status_code", "address"),
)
# Libraries that say at INFO what is no event to us, or say it for each request of a stranger.
QUIET: Final = {
    "asyncio": logging.WARNING,
    "celery.app.trace": logging.WARNING,
    "celery.beat": logging.WARNING,
    "celery.worker.strategy": logging.WARNING,
    "django.request": logging.ERROR,
    "django.security.DisallowedHost": logging.CRITICAL,
    # The admin's lists say so in a line of their own (tenants/admin/base.py), without a traceback.
    "django.security.DisallowedModelAdminLookup": logging.CRITICAL,
    "django.server": logging.ERROR,
    # Which letters stand on an invoice is nobody's business.
    "factur-x": logging.WARNING,
    "fontTools": logging.WARNING,
    "fpdf": logging.WARNING,
    "google": logging.WARNING,
    "h2": logging.WARNING,
    "hpack": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "kombu": logging.WARNING,
    "requests": logging.WARNING,
    "urllib3": logging.WARNING,
}
Event = MutableMapping[str, Any]


def role() -> str:
    """What this process is, by its command line: "ingest", "worker", "beat", a subcommand of manage.py, a program."""
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    name = Path(sys.argv[0]).stem if sys.argv else ""
    if name in ("celery", "__main__") and "beat" in arguments:
        return "beat"
    if name == "asgi":
        return "ingest"  # one of its processes
    return arguments[0] if name == "manage" and arguments else name or "python"


def _bind(_logger: Any, _method: str, event: Event) -> Event:
    """Bind the process's role and id to an event."""
    event["role"], event["pid"] = role(), os.getpid()
    return event


def _only_known(_logger: Any, _method: str, event: Event) -> Event:
    """Keep the known fields of an event only, whoever made it."""
    return {name: event[name] for name in (*BASE, *FIELDS) if name in event}


_ABOUT: Final[list[Any]] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    _bind,
]


def _json(_logger: Any, _method: str, event: Event) -> str:
    return json.dumps(event, default=str)


def _printable(text: str) -> str:
    """Text that stays in its line and does nothing to a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _plain(_logger: Any, _method: str, event: Event) -> str:
    at, level, who = event.pop("at"), str(event.pop("level", "")).upper(), event.pop("role")
    pid, name, message = event.pop("pid"), event.pop("logger", ""), str(event.pop("event"))
    below = "".join(f"\n    {_printable(line)}" for line in str(event.pop("exception", "")).splitlines())
    more = "".join(f" {key}={_printable(str(value))}" for key, value in event.items())
    return f"{at} {level:<8} {who}[{pid}] {name}: {_printable(message)}{more}{below}"


class Handler(logging.StreamHandler[TextIO]):
    """A stream handler that never shows what it could not format: logging's own prints the arguments."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Write one line with the source location of the faulty call."""
        kind = sys.exc_info()[0]
        try:
            self.stream.write(
                f"ERROR a log line of {record.name} ({record.pathname}:{record.lineno}) could not be written: "
                f"{kind.__name__ if kind else 'unknown'}\n"
            )
            self.stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads the log any more


class Formatter(structlog.stdlib.ProcessorFormatter):
    """structlog's formatter for records of structlog and of plain logging, with the redaction behind everything."""

    def __init__(self, style: str, secrets: Iterable[str] = ()) -> None:
        """style: "json" or "plain"; secrets: our own, see Redactor."""
        self.redact = Redactor(secrets)
        super().__init__(
            foreign_pre_chain=[*_ABOUT, structlog.stdlib.ExtraAdder(allow=FIELDS)],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # The interpreter's own traceback: lines of code and no values of variables.
                structlog.processors.format_exc_info,
                _only_known,
                _json if style == "json" else _plain,
            ],
        )

    def format(self, record: logging.LogRecord) -> str:
        """The finished line."""
        return self.redact(super().format(record))


_URLS = (
    *("DATABASE_URL", "PAGES_DATABASE_URL", "WORKER_DATABASE_URL", "DIRECTORY_DATABASE_URL", "REDIS_URL"),
    *("CELERY_BROKER_URL", "HTTPS_PROXY", "EMAIL_URL"),
)


def own_secrets() -> list[str]:
    """Every secret in the settings, so that none of them can stand in a line."""
    found = [settings.METRICS_TOKEN, *(entry.partition(":")[2] for entry in settings.VAULT_KEYS)]
    found.append(base64.urlsafe_b64encode(settings.HASH_KEY).decode())
    try:
        found.append(settings.SECRET_KEY)
    except ImproperlyConfigured:
        pass  # there is none; the system checks say so
    for name in _URLS:
        try:
            password = urlsplit(str(getattr(settings, name, ""))).password
        except ValueError:
            continue  # the system checks say that it is malformed
        found += [password, unquote(password)] if password else []
    return [secret for secret in found if secret]


def configure(how: Mapping[str, Any]) -> None:
    """Set up logging for this process; Django calls it with settings.LOGGING. May be called again.

    how: "level" (a name of LEVELS, else INFO), "format" (one of FORMATS, else json), "secrets" (more to be kept out).
    """
    level = str(how.get("level", "INFO")).upper()
    style = str(how.get("format", "json"))
    handler = Handler(how.get("stream") or sys.stderr)
    handler.addFilter(FloodFilter())
    handler.setFormatter(Formatter(style, [*own_secrets(), *how.get("secrets", ())]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level if level in LEVELS else "INFO")
    for logger in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate = True
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    logging.captureWarnings(True)
    warnings.simplefilter("default" if style == "plain" else "ignore", DeprecationWarning)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_ABOUT,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def for_celery(**_: Any) -> None:
    """A receiver for Celery's signal setup_logging: with one, Celery sets up no logging of its own."""


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """sys.excepthook: logs an uncaught exception, which Python would write past all of the above."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("hpns").critical("the process ends on an error", exc_info=(kind, error, trace))


def _uncaught_in_thread(what: threading.ExceptHookArgs) -> None:
    if what.exc_value is not None:
        logging.getLogger("hpns").error(
            "a thread ended on an error", exc_info=(what.exc_type, what.exc_value, what.exc_traceback)
        )
