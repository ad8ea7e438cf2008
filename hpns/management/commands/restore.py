"""`manage.py restore --from FOLDER [--keys]`: fills an empty database with a backup; --keys prints its settings."""

from typing import Any

from django.core.management.base import CommandParser

from hpns.backup import restoring
from hpns.management.backup_command import BackupCommand


class Command(BackupCommand):
    """See hpns/backup."""

    help = "Fill the empty database of DATABASE_URL with a backup, and make its roles."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where it comes from."""
        parser.add_argument("--from", dest="source", required=True, help="the folder of the backup")
        parser.add_argument(
            "--keys", action="store_true", help="restore nothing, and print the secrets that the environment must have"
        )
        super().add_arguments(parser)

    def run(self, passphrase: str, **options: Any) -> dict[str, Any]:
        """Print what was done; with --keys the secrets, as JSON."""
        path = self.folder(options["source"])
        return dict(restoring.keys(path, passphrase)) if options["keys"] else restoring.restore(path, passphrase)
