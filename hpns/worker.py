"""Run one worker process: `python -m hpns.worker`. Celery's own worker, on our hub, pool and transport."""

import logging
import os
import socket
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hpns.settings")
os.environ["DATABASE_ROLE"] = "worker"
# Celery would run Django's system checks and ignore what they find; they import all pages. Ours come below.
os.environ["CELERY_SKIP_CHECKS"] = "1"

import django
from django.conf import settings

django.setup()

from hpns.celery import DELIVER, RECORD, app, hub
from hpns.checks import starting
from hpns.logs import setup


def main() -> int:
    """Work until SIGTERM (what runs is finished first) or SIGQUIT; returns the exit code."""
    starting.stop_unless_set_up()
    # Celery says a line per task at INFO; a batch is worth none.
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
    hub.install()
    worker = app.Worker(
        hostname=f"hpns@{socket.gethostname()}:{os.getpid()}",
        queues=[DELIVER, RECORD],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
        loglevel=settings.LOG_LEVEL.upper() if settings.LOG_LEVEL.upper() in setup.LEVELS else "INFO",
    )
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main())
