"""Run the web process: granian with the RSGI application of asgi.py.

`python -m hpns.ingest --port N [--host H] [--workers N]`. TLS is on where TLS_CERT_FILE is set; a renewed certificate
file is noticed within seconds and new processes take over, while the old ones finish what they have
(hpns/web: certificates.py, server.py, draining.py). The pages process is started and supervised beside them
(hpns/web/pages_child.py).
"""

import argparse
import multiprocessing
import os
import sys
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hpns.settings")
os.environ["DATABASE_ROLE"] = "web"

from django.conf import settings
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes, TaskImpl
from granian.http import HTTP1Settings

from hpns.checks import starting
from hpns.logs import setup
from hpns.web.certificates import CertificateError, CertificateReloader
from hpns.web.server import WebServer

# Seconds that a caller's connection may stay idle: above the 90 s after which Mattermost closes it itself (Go's
# IdleConnTimeout), for a push that meets a connection just closed by us is lost. The time for a request's head as well.
IDLE_SECONDS = 100
# Seconds beyond PUSH_DEADLINE for a process that leaves: to let its idle connections go, and to end.
DRAIN_TIMEOUT = 4.0


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m hpns.ingest", description="Run the web process.")
    parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8066")))
    parser.add_argument("--workers", type=int, default=int(os.environ.get("INGEST_WORKERS", "1")))
    return parser.parse_args(arguments)


def server(options: argparse.Namespace) -> WebServer:
    """The configured server, not yet serving. Raises CertificateError when the files of TLS cannot be used."""
    reloader = None
    if settings.TLS_CERT_FILE:
        reloader = CertificateReloader(Path(settings.TLS_CERT_FILE), Path(settings.TLS_KEY_FILE))
    return WebServer(
        target="hpns.asgi:application",
        address=options.host,
        port=options.port,
        interface=Interfaces.RSGI,
        workers=options.workers,
        runtime_mode=RuntimeModes.mt,
        runtime_threads=1,
        loop=Loops.uvloop,
        task_impl=TaskImpl.asyncio,
        # A Mattermost server speaks HTTP/1.1 only; browsers are fine with it too.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=IDLE_SECONDS * 1000, max_buffer_size=417_792),
        websockets=False,
        backpressure=4096,
        log_access=False,
        log_dictconfig=setup.GRANIAN,
        reloader=reloader,
        drain_timeout=settings.PUSH_DEADLINE + DRAIN_TIMEOUT,
    )


def main() -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP replaces the processes one by one."""
    # The processes share the parent's listening socket and its certificate in memory.
    multiprocessing.set_start_method("fork")
    options = parse()
    starting.stop_unless_set_up()
    setup.configure(settings.LOGGING)
    try:
        server(options).serve()
    except CertificateError as error:
        sys.exit(f"TLS_CERT_FILE and TLS_KEY_FILE: {error}.")


if __name__ == "__main__":
    main()
