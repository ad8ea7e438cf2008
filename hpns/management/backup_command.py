"""Base class of the commands backup and restore."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from hpns.backup.passphrases import VARIABLE, passphrase
from tenants.audit import recording
from tenants.management.subcommands import account
from tenants.models import AuditEvent
from tenants.problem import ProblemError, first_line


class BackupCommand(BaseCommand):
    """JSON on the standard output, or one line and exit code 1."""

    # Where it is needed most, little of the rest is as it should be.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Where the passphrase comes from."""
        parser.add_argument(
            "--passphrase-file", default="", help=f"its first line is the passphrase (else: {VARIABLE})"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it and print what it returns."""
        name = type(self).__module__.rpartition(".")[2]
        try:
            with recording.acting(recording.Actor(AuditEvent.Kind.COMMAND, f"manage.py {name} ({account()})")):
                result = self.run(passphrase(options["passphrase_file"]), **options)
        except ProblemError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"the database refused or is away: {first_line(error)}") from error
        self.stdout.write(json.dumps(result, indent=2, ensure_ascii=False))

    def run(self, passphrase: str, **options: Any) -> dict[str, Any]:
        """What the command does; its result is printed."""
        raise NotImplementedError

    @staticmethod
    def folder(name: str) -> Path:
        """The folder that was named, from the root."""
        return Path(name).absolute()
