"""The web process: the front door's server with the push endpoints on a short way past Django, all else by ASGI.

`python -m hpns.asgi --listener N --control N [--tls]`, started by hpns/ingest.py: the numbers of the listening socket's
descriptor and of the control socket's (hpns/web/child_process.py), which is also where the certificate comes from.
The two machine endpoints go to delivery.ingest.api on a lean request: no middleware, no thread, no ASGI. Health,
metrics and version are answered here as well (watching/endpoints.py); everything else is a page, and goes on to the
pages process (web/pages_proxy.py).

Invariant: nothing here redirects, and a path that is not known is 404 at once: a redirect turns a push into a GET.
"""

import argparse
import asyncio
import gc
import os
import secrets
import signal
import socket
import sys
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hpns.settings")
DATABASE_ROLE = "web"
os.environ.setdefault("DATABASE_ROLE", DATABASE_ROLE)

import django

django.setup()

import uvloop
from django.conf import settings

from delivery.ingest.api import MachineView, machine_views
from delivery.ingest.misdirected import Misdirected
from delivery.ingest.outbox import Outbox
from delivery.ingest.own_delivery import OwnDelivery
from delivery.metrics import exporting
from delivery.queue import directory_stamp, valkey
from hpns.celery import DELIVER, commands, lease
from hpns.celery import app as celery_app
from hpns.watching.endpoints import Monitoring
from hpns.watching.readiness import Observer
from hpns.web import certificates
from hpns.web.client_scope import ClientScope
from hpns.web.draining import Drainer
from hpns.web.front_door import FrontDoor
from hpns.web.pages_proxy import PagesProxy
from tenants.directory.live import DIRECTORY
from tenants.network import TrustedProxies
from tenants.supervision import supervise

SEND_PUSH, ACK = "/api/v1/send_push", "/api/v1/ack"
KEY_PATH = "/t/"
# Who sends pushes (DELIVER_FROM): the web processes themselves, or workers alone.
WEB = "web"
# Seconds that a process waits for the queue and the directory before it serves; without them every push is a FAIL.
STARTUP_TIMEOUT = 3.0


class WebProcess:
    """All that one web process does. Made on its loop; start(), then stop()."""

    def __init__(self) -> None:
        celery_app.finalize()
        # Behind another broker nobody would take over what this process leaves.
        sends = settings.DELIVER_FROM == WEB and settings.CELERY_BROKER_URL == settings.REDIS_URL
        self.outbox = Outbox(own=_own_delivery if sends else None)
        proxies = TrustedProxies(settings.TRUSTED_PROXIES)
        self.send_push, self.ack = machine_views(self.outbox, proxies)
        self.pages = PagesProxy()
        self.observer = Observer(self.outbox, self.pages.probe)
        self.outbox.responses.is_taken = self.observer.has_worker
        self.door = FrontDoor(
            self.route,
            ClientScope(Monitoring(self.observer, self.pages), proxies),
            body_limit=settings.BODY_LIMIT,
            body_deadline=settings.BODY_DEADLINE,
            proxies=proxies,
            misdirected=Misdirected(self.outbox, proxies),
        )
        self._tasks: list[asyncio.Task[Any]] = []

    def route(self, path: str) -> MachineView | None:
        """The machine endpoint of a path, None for one of the pages."""
        if path.endswith(SEND_PUSH) and _is_prefix(path[: -len(SEND_PUSH)]):
            return self.send_push
        if path.endswith(ACK) and _is_prefix(path[: -len(ACK)]):
            return self.ack
        return None

    async def start(self) -> None:
        """Connect to the queue, begin to follow the directory, wait a little until pushes can be taken."""
        self.outbox.start()
        loop = asyncio.get_running_loop()
        self._tasks = [
            supervise("the directory's follower", lambda: DIRECTORY.follow(directory_stamp.reader(self.outbox.link))),
            supervise("the look at the stores", self.observer.observe),
            supervise("the export of metrics", lambda: exporting.export("ingest"), essential=False),
        ]
        until = loop.time() + STARTUP_TIMEOUT
        while not (self.outbox.ready and DIRECTORY.ready) and loop.time() < until:
            await asyncio.sleep(0.01)
        gc.collect()
        gc.set_threshold(20_000, 50, 100)

    async def serve(self, listener: socket.socket, control: socket.socket, pair: bytes) -> None:
        """Serve until the parent says to leave, and nothing is left to do; `pair`: the certificate, "" for none."""
        await self.start()
        drained = asyncio.Event()
        drainer = Drainer(self.door, control, drained.set)
        self.door.start(listener, certificates.context(pair) if pair else None)
        drainer.signal_ready()
        await drained.wait()
        await self.door.close()
        await self.stop()

    async def stop(self) -> None:
        """Flush the outbox and close."""
        for task in self._tasks:
            task.cancel()
        await self.pages.close()
        await self.outbox.close()


def _own_delivery(link: valkey.Link) -> OwnDelivery:
    """What sends in this process: under a lease as a worker's, and known by its name as none."""
    name = f"{lease.WEB}{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
    held = lease.Lease(name, link, asyncio.get_running_loop(), problems=list, on_renewed=lambda: None)
    held.queues.append(DELIVER)
    return OwnDelivery(link, held, commands.processing_list(name, DELIVER))


def _is_prefix(prefix: str) -> bool:
    """Whether a prefix of the path is one under which machines are served: none, or /t/KEY."""
    return not prefix or (prefix.startswith(KEY_PATH) and "/" not in prefix[len(KEY_PATH) :] and len(prefix) > 3)


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hpns.asgi", description="Run one web process.")
    parser.add_argument("--listener", type=int, required=True)
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    # A terminal that is closed says so to all processes; the parent says what is to be done.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    listener, control = socket.socket(fileno=options.listener), socket.socket(fileno=options.control)
    for inherited in (listener, control):
        inherited.set_inheritable(False)
    pair = control.recv(certificates.PAIR_MAX) if options.tls else b""
    if options.tls and not pair:
        return 1  # the parent has ended
    uvloop.run(_serve(listener, control, pair))
    return 0


async def _serve(listener: socket.socket, control: socket.socket, pair: bytes) -> None:
    await WebProcess().serve(listener, control, pair)


if __name__ == "__main__":
    sys.exit(main())
