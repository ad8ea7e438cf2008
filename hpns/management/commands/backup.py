"""`manage.py backup --out FOLDER`: the database and the keys of the settings, sealed under a passphrase."""

from typing import Any

from django.core.management.base import CommandParser

from hpns.backup import making
from hpns.management.backup_command import BackupCommand


class Command(BackupCommand):
    """See hpns/backup."""

    help = "Back up the database and the keys of the settings into a folder, sealed under a passphrase."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where it goes."""
        parser.add_argument("--out", required=True, help="a folder that is empty or yet to be made")
        super().add_arguments(parser)

    def run(self, passphrase: str, **options: Any) -> dict[str, Any]:
        """Print what was kept, and what was not."""
        return making.make(self.folder(options["out"]), passphrase)
