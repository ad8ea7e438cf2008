"""`manage.py import_push_proxy FILE --customer SLUG`: take a reference push proxy's apps and keys over."""

import json
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from hpns.push_proxy import importing
from hpns.push_proxy.importing import Line, Wanted
from tenants.audit import recording
from tenants.management.subcommands import account
from tenants.models import AuditEvent, Customer
from tenants.problem import ProblemError, first_line
from tenants.vault import VaultError

_LABELS: Final = {"took": "take", "there": "same", "left": "leave", "trouble": "WRONG"}


class Command(BaseCommand):
    """See the module."""

    help = (
        "Take the apps and keys of a mattermost-push-proxy.json over, for one customer. Without --apply it only says "
        "what it would do. Nothing that is there already is changed; run it as often as you like."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("file", help="the configuration of the push proxy")
        parser.add_argument("--customer", required=True, help="the customer's slug; made when there is none of it")
        parser.add_argument("--name", default="", help="the name of a new customer (default: the slug)")
        parser.add_argument(
            "--offer", default="", choices=Customer.Offer.values, help="a new customer's (default: eas)"
        )
        parser.add_argument("--files", action="append", default=[], help="a folder of the key files; may be repeated")
        parser.add_argument(
            "--package", action="append", default=[], metavar="TYPE=NAME", help="an Android app's package name"
        )
        parser.add_argument(
            "--skip", action="append", default=[], metavar="TYPE", help="leave the entries of this Type"
        )
        parser.add_argument("--apply", action="store_true", help="do it")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, and print line by line what happened."""
        try:
            wanted = Wanted(
                slug=options["customer"],
                name=options["name"],
                offer=options["offer"],
                folders=tuple(map(Path, options["files"])),
                packages=_packages(options["package"]),
                skip=frozenset(options["skip"]),
            )
            with recording.acting(
                recording.Actor(AuditEvent.Kind.COMMAND, f"manage.py import_push_proxy ({account()})")
            ):
                lines = importing.run(Path(options["file"]), wanted, apply=options["apply"])
        except (ProblemError, VaultError) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"the database refused or is away: {first_line(error)}") from error
        self._report(lines, options)

    def _report(self, lines: list[Line], options: dict[str, Any]) -> None:
        taken = sum(line.result == "took" for line in lines)
        apps = sum(line.result == "took" and line.about != "customer" for line in lines)
        failed = sum(line.result == "trouble" for line in lines)
        applied = options["apply"] and not failed
        if options["json"]:
            report = {"applied": applied, "taken": taken, "troubles": failed, "lines": [one._asdict() for one in lines]}
            self.stdout.write(json.dumps(report, indent=2, ensure_ascii=False))
        else:
            for line in lines:
                self.stdout.write(f"{_LABELS[line.result]:<6} {line.about}: {line.text}")
            if not failed:
                self.stdout.write(_end(taken, apps, applied))
        if failed:
            raise CommandError(f"nothing was changed: put the {failed} right that are WRONG, or leave them with --skip")


def _end(taken: int, apps: int, applied: bool) -> str:
    if not taken:
        return "There is nothing to take that is not here already."
    if applied and not apps:
        return "Took the customer, and no app."
    if applied:
        return f"Took {taken}. Next: `server add`, `key add`, and the key's address into the Mattermost server."
    if not apps:
        return "Nothing was changed: with --apply, the customer would be made, and no app."
    return f"Nothing was changed: with --apply, {taken} would be taken."


def _packages(given: list[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    if not all(type_ and name for type_, _, name in pairs):
        raise ProblemError("--package must read TYPE=NAME, such as android_rn=com.example.app")
    return {type_: name for type_, _, name in pairs}
