"""`manage.py tpns add`."""

from typing import Any

from django.conf import settings

from billing import tpns
from tenants.management import rows
from tenants.management.subcommands import SubcommandsCommand, subcommand


class Command(SubcommandsCommand):
    """The free test service."""

    help = "Prepare the free test service, which takes pushes without a key."

    @subcommand("Make what the test service needs; the same again changes nothing.")
    def add(self) -> dict[str, Any]:
        """Print its server, and whether TEST_SERVICE is on."""
        row, changed = tpns.add()
        return {**rows.server(row), "changed": changed, "on": settings.TEST_SERVICE}
