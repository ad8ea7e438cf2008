"""Run the timetable: `python -m hpns.beat [-s FILE]`. Celery's own beat, once the settings were looked at.

It knows its tasks by their names and imports none of them, nor Django's models: it needs a third of the memory so.
"""

import argparse
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hpns.settings")
os.environ["DATABASE_ROLE"] = "worker"

from celery.apps.beat import Beat
from django.conf import settings

from hpns.celery import app, publishing
from hpns.checks import apart
from hpns.logs import setup


class Timetable(Beat):  # type: ignore[misc]
    """Celery's beat without its tasks: each is sent by its name (tests/hpns/celery/test_timetable.py)."""

    def init_loader(self) -> None:
        """Import nothing."""
        self.app.finalize()


def main() -> None:
    """Send what is due until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m hpns.beat", description="Run the timetable.")
    parser.add_argument("-s", "--schedule", default="celerybeat-schedule", help="the file in which it notes its runs")
    options = parser.parse_args()
    apart.stop_unless_set_up(sends=False)
    setup.configure(settings.LOGGING)
    publishing.only()
    Timetable(app=app, schedule=options.schedule, quiet=True).run()


if __name__ == "__main__":
    main()
