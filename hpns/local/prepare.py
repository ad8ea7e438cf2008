"""Prepares the database for `bin/run`: tables, roles, the demo's rows. A process of its own, which ends when done.

    python -m hpns.local.prepare STATE_DIR [APNS_KEY SERVICE_ACCOUNT SITE]

The two files are the sandbox's credentials, SITE is the address of the demo's Mattermost site; without them the demo
gets its customer and key only.
"""

import os
import sys
from pathlib import Path

import django
from django.core.management import call_command
from django.utils.module_loading import import_string


def main(arguments: list[str]) -> None:
    """See above. Raises whatever goes wrong: the supervisor shows the end of the log."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hpns.settings")
    os.environ["DATABASE_ROLE"] = "owner"
    django.setup()
    call_command("migrate", interactive=False, verbosity=1)
    call_command("database_roles")
    # Models can be imported from here on only.
    seed = import_string("hpns.local.demo.seed")
    credentials = [Path(argument) for argument in arguments[1:3]]
    seed(Path(arguments[0]), credentials, *arguments[3:])
    import_string("hpns.local.demo_canary.seed")(credentials)
    import_string("hpns.local.demo_sla.seed")()


if __name__ == "__main__":
    main(sys.argv[1:])
