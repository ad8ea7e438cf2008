"""Run the web server: the parent that supervises the web processes (hpns/asgi.py).

`python -m hpns.ingest --port N [--host H] [--workers N]`. TLS is on where TLS_CERT_FILE is set; a renewed certificate
file is noticed within seconds, and every process uses it from the next handshake on (hpns/web: certificates.py,
server.py, draining.py). The pages process is started and supervised beside the web processes
(hpns/web/pages_child.py).

All of them are copies of this process, which has imported what they need before (hpns/preload.py): what is the same in
each is in memory once. Invariant: nothing is in its memory that they must not know (the owner's database URL, and the
worker's), and nothing goes on in it but their supervision: one thread, and no connection to a store.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hpns.settings")
os.environ["DATABASE_ROLE"] = "web"

from django.conf import settings
from django.utils.module_loading import import_string

from hpns import preload
from hpns.logs import setup
from hpns.web.certificates import CertificateError, CertificateReloader
from hpns.web.child_process import ChildProcess
from hpns.web.pages_child import PagesChild
from hpns.web.server import Slot, WebServer, listen

# Seconds beyond PUSH_DEADLINE for a process that leaves: to let its idle connections go, and to end.
DRAIN_TIMEOUT = 4.0


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m hpns.ingest", description="Run the web server.")
    parser.add_argument("--host", default=settings.HOST)
    parser.add_argument("--port", type=int, default=settings.PORT)
    parser.add_argument("--workers", type=int, default=settings.INGEST_WORKERS)
    options = parser.parse_args(arguments)
    # As the settings, which the start-up check looks at. A port that is too large would become another one.
    settings.PORT, settings.INGEST_WORKERS = options.port, options.workers
    return options


def server(options: argparse.Namespace) -> WebServer:
    """The configured server, listening and not yet serving.

    Raises CertificateError when the files of TLS cannot be used.
    """
    reloader = None
    if settings.TLS_CERT_FILE:
        reloader = CertificateReloader(Path(settings.TLS_CERT_FILE), Path(settings.TLS_KEY_FILE))
    listener = listen(options.host, options.port)

    def web() -> ChildProcess:
        command = [sys.executable, "-m", "hpns.asgi", "--listener", str(listener.fileno())]
        if reloader is None:
            return ChildProcess(command, [listener.fileno()], launch=preload.launch)
        command.append("--tls")
        return ChildProcess(command, [listener.fileno()], message=reloader.pair, launch=preload.launch)

    slots = [Slot("web process", web, takes_certificate=True) for _ in range(options.workers)]
    drain_timeout = settings.PUSH_DEADLINE + DRAIN_TIMEOUT
    beside = PagesChild(preload.launch)
    return WebServer(listener, slots, reloader=reloader, drain_timeout=drain_timeout, beside=beside)


def of_others() -> list[str]:
    """The variables here that lead to the owner's database, and to the worker's, where the processes of pages and
    pushes have roles of their own and are to find no way there."""
    names = [name for name in ("DATABASE_URL", "WORKER_DATABASE_URL") if not getattr(settings, name)]
    return [each for name in names for each in (name, f"{name}_FILE") if each in os.environ]


def begin_without(names: Sequence[str]) -> None:
    """Begin this program anew without these variables: what it has read would be in the memory of its copies."""
    for name in names:
        os.environ.pop(name)
    os.environ["READ_DOT_ENV"] = "false"  # the environment holds by now what that file says
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606  ourselves


def main() -> int:
    """Serve until SIGTERM or SIGINT; SIGHUP replaces the processes one by one. Returns the exit code."""
    options = parse()
    if names := of_others():
        begin_without(names)
    preload.load(*preload.WEB)
    import_string("hpns.checks.starting.stop_unless_set_up")()
    setup.configure(settings.LOGGING)
    try:
        return server(options).serve()
    except CertificateError as error:
        sys.exit(f"TLS_CERT_FILE and TLS_KEY_FILE: {error}.")


if __name__ == "__main__":
    sys.exit(main())
