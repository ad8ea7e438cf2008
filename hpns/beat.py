"""Run the timetable: `python -m hpns.beat [-s FILE]`. Celery's own beat, once the settings were looked at."""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hpns.settings")
os.environ["DATABASE_ROLE"] = "worker"

import django

django.setup()

from hpns.celery import app
from hpns.checks import starting


def main() -> None:
    """Send what is due until SIGTERM."""
    starting.stop_unless_set_up(sends=False)
    app.start(["-q", "beat", *sys.argv[1:]])


if __name__ == "__main__":
    main()
