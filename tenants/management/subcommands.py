"""Commands of the form `manage.py NOUN VERB --options`: JSON on the standard output, or one line and exit code 1.

A noun is a SubcommandsCommand; each of its verbs is a method that is marked with `subcommand` and takes the options it
declares. What a verb returns is printed as JSON.
"""

import getpass
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from tenants.audit import recording
from tenants.models import AuditEvent
from tenants.problem import ProblemError, first_line
from tenants.vault import VaultError

_MARK: Final = "subcommand"
Method = TypeVar("Method", bound=Callable[..., Any])


@dataclass(frozen=True)
class Option:
    """One option: its flag, whether it must be given, and whatever else argparse's add_argument takes.

    A flag without dashes, such as "FILE", is an argument that is given by its place alone.
    """

    flag: str
    help: str
    required: bool = False
    kind: str = "text"
    choices: Iterable[str] | None = None
    default: Any = ""

    @property
    def name(self) -> str:
        """The name of the parameter that takes its value."""
        return self.flag.lstrip("-").replace("-", "_").lower()

    def add_to(self, parser: CommandParser) -> None:
        """Declare the option to a parser."""
        if not self.flag.startswith("-"):
            parser.add_argument(self.name, metavar=self.flag, help=self.help)
        elif self.kind == "switch":
            parser.add_argument(self.flag, help=self.help, action="store_true")
        else:
            type_ = int if self.kind == "number" else str
            parser.add_argument(
                self.flag,
                help=self.help,
                required=self.required,
                type=type_,
                choices=self.choices,
                default=None if self.kind == "number" else self.default,
            )


CUSTOMER: Final = Option("--customer", "the customer's slug", required=True)
OWNER: Final = (
    Option("--customer", "the slug of the customer who owns the app"),
    Option("--shared", "the operator's app, for all customers whose offer includes it", kind="switch"),
)


class Failing:
    """What a verb returns whose result is to be printed, and which has failed all the same: exit code 1, one line."""

    def __init__(self, result: Any, why: str) -> None:
        """Take what is printed as JSON, and the line."""
        self.result, self.why = result, why


def subcommand(help_: str, *options: Option) -> Callable[[Method], Method]:
    """Mark a method as the verb of its name."""

    def mark(method: Method) -> Method:
        setattr(method, _MARK, (help_, options))
        return method

    return mark


class SubcommandsCommand(BaseCommand):
    """A noun with its verbs."""

    # A verb tells what is wrong with its own rows; a whole system check each time would slow scripts down.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare each verb with its options."""
        verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
        # Those of the class that this one extends, too, which come first.
        methods = {name: method for each in reversed(type(self).__mro__) for name, method in vars(each).items()}
        for name, method in methods.items():
            if hasattr(method, _MARK):
                help_, options = getattr(method, _MARK)
                verb = verbs.add_parser(name.strip("_").replace("_", "-"), help=help_, description=help_)
                for option in options:
                    option.add_to(verb)
                verb.set_defaults(method=name, names=[option.name for option in options])

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the verb and print what it returns."""
        try:
            with recording.acting(recording.Actor(AuditEvent.Kind.COMMAND, self._audit_name(options))):
                result = getattr(self, options["method"])(**{name: options[name] for name in options["names"]})
        except (ProblemError, VaultError) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"the database refused or is away: {first_line(error)}") from error
        shown = result.result if isinstance(result, Failing) else result
        self.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False))
        if isinstance(result, Failing):
            raise CommandError(result.why)

    def _audit_name(self, options: dict[str, Any]) -> str:
        """The command and the account of the machine that it runs under, for the audit log."""
        noun = type(self).__module__.rpartition(".")[2]
        return f"manage.py {noun} {options['verb']} ({account()})"


def account() -> str:
    """The name of the account of the machine that a command runs under."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user id has no name
        return f"uid {os.getuid()}"
