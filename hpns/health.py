"""Health checks of the processes of this container or machine: what a health check runs.

    python -m hpns.health web [--port N]     a push would be taken, sent and answered (GET /health/ready)
    python -m hpns.health worker             a worker of this host renews its lease, and none of them is failing
    python -m hpns.health beat FILE          the timetable's file was written lately

Exit code 0 or 1, and one line with the reason. Invariant: nothing is changed, and it ends within seconds.
"""

import argparse
import http.client
import json
import os
import socket
import ssl
import sys
import time
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hpns.settings")

import redis
from django.conf import settings

from hpns.celery import lease
from tenants import redis_client

SECONDS = 8.0
# Celery's beat writes its file every three minutes, when it sends what is due.
BEAT_SECONDS = 420.0


def web(port: int) -> str:
    """What keeps the web process on `port` of this machine from taking pushes, "" when nothing does."""
    connection: http.client.HTTPConnection
    if settings.TLS_CERT_FILE:
        context = ssl.create_default_context()
        # It is our own process, and its certificate names no loopback address.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"port {port} does not answer: {error}"
    finally:
        connection.close()
    if answer.status == 200:
        return ""
    if answer.status == 503:
        return "; ".join(json.loads(body)["missing"])
    return f"/health/ready answers {answer.status}"


def worker() -> str:
    """Why the workers of this host do not deliver, "" when one is alive and none says that it cannot."""
    try:
        with redis_client.connect(SECONDS) as valkey:
            states = lease.worker_states(valkey)
    except redis.RedisError as error:
        return f"Valkey does not answer: {type(error).__name__}"
    host = f"{socket.gethostname()}:"
    ours = [state for name, state in states.items() if name.startswith(host)]
    if not ours:
        return "no worker of this host has renewed its lease"
    return "; ".join(sorted({state for state in ours if state}))


def beat(file: Path) -> str:
    """Why the timetable counts as standing still, "" when it does not."""
    written = [path.stat().st_mtime for path in file.parent.glob(f"{file.name}*")]
    if not written:
        return f"there is no {file}"
    age = time.time() - max(written)
    return "" if age < BEAT_SECONDS else f"{file} was last written {age:.0f} s ago"


def main(arguments: list[str] | None = None) -> int:
    """The command line above; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m hpns.health", description="Check one part of the service.")
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("web").add_argument("--port", type=int, default=settings.PORT)
    parts.add_parser("worker")
    parts.add_parser("beat").add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    if options.part == "web":
        problem = web(options.port)
    else:
        problem = worker() if options.part == "worker" else beat(options.file)
    sys.stdout.write(f"{problem or 'healthy'}\n")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
