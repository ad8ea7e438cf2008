"""Run the web process: granian with the front door of asgi.py.

`python -m hpns.ingest --port N [--host H] [--workers N]`. TLS is on where TLS_CERT_FILE is set; a renewed certificate
file is noticed within seconds and new processes take over, while the old ones finish what they have.
"""

import argparse
import os
import signal
import threading
import time
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hpns.settings")

from django.conf import settings
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes, SSLProtocols, TaskImpl
from granian.http import HTTP1Settings

from hpns import logs

# Seconds between two looks at the certificate's files.
LOOK = 2.0
# Seconds for requests in flight when a process is replaced or stopped; above PUSH_DEADLINE.
PATIENCE = 8


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m hpns.ingest", description="Run the web process.")
    parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8066")))
    parser.add_argument("--workers", type=int, default=int(os.environ.get("INGEST_WORKERS", "1")))
    return parser.parse_args(arguments)


def server(options: argparse.Namespace) -> Granian:
    """The configured server, not yet serving."""
    tls = bool(settings.TLS_CERT_FILE)
    return Granian(
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
        http1_settings=HTTP1Settings(header_read_timeout=10_000, max_buffer_size=417_792),
        websockets=False,
        backlog=2048,
        backpressure=4096,
        ssl_cert=Path(settings.TLS_CERT_FILE) if tls else None,
        ssl_key=Path(settings.TLS_KEY_FILE) if tls else None,
        ssl_protocol_min=SSLProtocols.tls12,
        workers_kill_timeout=PATIENCE,
        respawn_failed_workers=True,
        respawn_interval=1.0,
        log_access=False,
        log_dictconfig=logs.GRANIAN,
    )


def _stamp(files: list[str]) -> tuple[tuple[int, int], ...]:
    """What tells a certificate's files from renewed ones."""
    return tuple((stat.st_mtime_ns, stat.st_ino) for stat in map(os.stat, files))


def watch(files: list[str]) -> None:
    """Ask the server for new processes whenever the files change and hold still for one look."""
    known = _stamp(files)
    while True:
        time.sleep(LOOK)
        try:
            seen = _stamp(files)
        except FileNotFoundError:
            continue  # in the middle of being replaced
        if seen != known:
            time.sleep(LOOK)
            known = _stamp(files)
            os.kill(os.getpid(), signal.SIGHUP)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    options = parse()
    logs.configure(settings.LOGGING)
    if settings.TLS_CERT_FILE:
        files = [settings.TLS_CERT_FILE, settings.TLS_KEY_FILE]
        threading.Thread(target=watch, args=(files,), daemon=True).start()
    server(options).serve()


if __name__ == "__main__":
    main()
