"""Run the pages process: `python -m hpns.pages_process --socket PATH`, as the web server's parent does.

All pages, by Django's normal handler with the full middleware, on uvicorn behind a Unix socket, in an interpreter of
their own and below the pushes' priority: whatever pages do, the process of pushes does not wait for its interpreter.
What of a web process a page needs is here once more: an outbox (for test pushes), the directory, the counters.
Invariant: the socket has its name only while somebody listens on it.
"""

import argparse
import asyncio
import gc
import itertools
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Final, cast

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hpns.settings")
DATABASE_ROLE = "pages"
os.environ["DATABASE_ROLE"] = DATABASE_ROLE

import django

django.setup()

import uvicorn
from django.core.handlers.asgi import ASGIHandler
from django.urls import get_resolver

from delivery.ingest import trial_push
from delivery.ingest.outbox import Outbox
from delivery.metrics import exporting
from delivery.queue import directory_stamp
from hpns.celery import app as celery_app
from hpns.checks import starting
from hpns.processes import PR_SET_PDEATHSIG, prctl
from hpns.web.asgi_types import ASGIApp
from hpns.web.pages_app import PagesApp, PagesServer, server_config
from tenants.directory.live import DIRECTORY
from tenants.supervision import supervise
from tenants.ticks import tick

ROLE: Final = "pages"
# Of two that want the processor, the kernel gives pages a tenth of what it gives pushes: nice(1), sched(7).
NICENESS: Final = 10
# Seconds for pages that are being made when the process is to end; above the longest, a download.
DRAIN_SECONDS: Final = 100
BEAT_SECONDS: Final = 1.0
# Beats after which the socket is touched, so that nobody who tidies temporary files takes it for forgotten.
TOUCH_BEATS: Final = 3600

logger = logging.getLogger(__name__)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m hpns.pages_process", description="Run the pages process.")
    parser.add_argument("--socket", type=Path, required=True, help="where to listen")
    parser.add_argument("--parent", type=int, help="the process with whose end ours comes")
    parser.add_argument("--control", type=int, help="a descriptor: a byte each second, the first once we serve")
    return parser.parse_args(arguments)


def yield_to_pushes() -> None:
    """Lower our priority: less of the processor, and no place before others when there is something to do."""
    os.nice(NICENESS)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


async def serve(path: Path, control: int | None) -> None:
    """Serve until SIGTERM, SIGINT or SIGUSR1 (another takes over), and finish what has begun."""
    server = PagesServer(server_config(PagesApp(cast(ASGIApp, ASGIHandler())), drain_seconds=DRAIN_SECONDS))

    def stop(*_: object) -> None:
        server.should_exit = True

    # Before uvicorn has its own, and once more when it has ended: it raises the signal that ended it again.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, stop)
    outbox = Outbox(ROLE)
    outbox.start()
    trial_push.register(outbox)
    tasks = [
        supervise("the directory's follower", lambda: DIRECTORY.follow(directory_stamp.reader(outbox.link))),
        supervise("the export of metrics", lambda: exporting.export(ROLE), essential=False),
    ]
    own_name = path.with_name(f"{path.name}.{os.getpid()}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(own_name))
        inode = own_name.stat().st_ino
        tasks.append(supervise("the sign of life", lambda: _beat(server, own_name, path, control)))
        try:
            await server.serve(sockets=[listener])
        finally:
            for name in (own_name, path):
                if name.exists() and name.stat().st_ino == inode:
                    name.unlink()
            for task in tasks:
                task.cancel()
            await outbox.close()


def collect_seldom() -> None:
    """Look through the memory for garbage once in some hundred pages: by the defaults each page waits for twenty looks,
    and one in ten for a look through all templates and addresses that were loaded since the start."""
    gc.collect()
    gc.freeze()
    # About one in two pages looks through what is new, one in twenty through what outlived that.
    gc.set_threshold(20_000, 10, 20)


async def _beat(server: uvicorn.Server, own_name: Path, path: Path, control: int | None) -> None:
    """Take the socket's name once we listen; then a sign of life each second. Ends the server once the name is gone."""
    while not server.started:
        await asyncio.sleep(0.01)
    if os.path.exists(own_name):  # noqa: ASYNC240  in memory
        collect_seldom()
        os.replace(own_name, path)
        if control is not None:
            os.set_blocking(control, False)
    for beat in itertools.count(1):
        if not server.should_exit:
            if not os.path.exists(path):  # noqa: ASYNC240  in memory
                logger.error("the socket was removed, and nobody can reach us: we end, to be started again")
                server.should_exit = True
            elif beat % TOUCH_BEATS == 0:
                os.utime(path)
                os.utime(path.parent)
        if control is not None:
            try:
                os.write(control, b"1")
            except (BlockingIOError, ConnectionError):
                pass  # nobody listens for now, or any more, and then the signal to end is on its way
        await tick(BEAT_SECONDS)


def main() -> None:
    """Serve; ends without waiting for threads of pages that hang in a store that does not answer."""
    options = parse()
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if options.parent not in (None, os.getppid()):
        sys.exit("the parent has ended")
    starting.stop_unless_set_up()
    celery_app.finalize()
    get_resolver().url_patterns  # noqa: B018  reads all views now: the first page should not have to wait for it
    yield_to_pushes()
    asyncio.run(serve(options.socket, options.control))
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
