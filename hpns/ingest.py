"""Run the web server: the parent that supervises the web processes (hpns/asgi.py).

`python -m hpns.ingest --port N [--host H] [--workers N]`. TLS is on where TLS_CERT_FILE is set; a renewed certificate
file is noticed within seconds, and every process uses it from the next handshake on (hpns/web: certificates.py,
server.py, draining.py). The pages process is started and supervised beside the web processes
(hpns/web/pages_child.py).
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hpns.settings")
os.environ["DATABASE_ROLE"] = "web"

from django.conf import settings

from hpns.checks import apart
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
            return ChildProcess(command, [listener.fileno()])
        return ChildProcess([*command, "--tls"], [listener.fileno()], message=reloader.pair)

    slots = [Slot("web process", web, takes_certificate=True) for _ in range(options.workers)]
    drain_timeout = settings.PUSH_DEADLINE + DRAIN_TIMEOUT
    return WebServer(listener, slots, reloader=reloader, drain_timeout=drain_timeout, beside=PagesChild())


def forget_others() -> None:
    """Take the owner's database URL, and the worker's, out of the environment that the processes of pages and pushes
    begin with, where these have roles of their own."""
    for name in ("DATABASE_URL", "WORKER_DATABASE_URL"):
        if not getattr(settings, name):
            for each in (name, f"{name}_FILE"):
                os.environ.pop(each, None)


def main() -> int:
    """Serve until SIGTERM or SIGINT; SIGHUP replaces the processes one by one. Returns the exit code."""
    options = parse()
    apart.stop_unless_set_up()
    forget_others()
    setup.configure(settings.LOGGING)
    try:
        return server(options).serve()
    except CertificateError as error:
        sys.exit(f"TLS_CERT_FILE and TLS_KEY_FILE: {error}.")


if __name__ == "__main__":
    sys.exit(main())
