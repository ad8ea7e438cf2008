"""`manage.py find customer | server | key | app | credential ID`: whose a number in a log line is.

Log lines name rows by their numbers (customer=3), which stay the same when somebody renames a customer.
"""

from typing import Any, Final, TypeVar

from django.db.models import Model

from tenants.management.subcommands import Option, SubcommandsCommand, subcommand
from tenants.models import Credential, Customer, PushApp, Server, ServerKey
from tenants.problem import ProblemError

Row = TypeVar("Row", bound=Model)
_ID: Final = Option("ID", "the number in the log line, such as 3 of customer=3")


class Command(SubcommandsCommand):
    """Rows by the numbers in log lines."""

    help = "Say whose a number in a log line is: customer=3, server=7."

    @subcommand("The customer of a number.", _ID)
    def customer(self, *, id: str) -> dict[str, Any]:  # noqa: A002  the option's name
        """Print its slug and name."""
        return _of(_row(Customer, id))

    @subcommand("The server of a number.", _ID)
    def server(self, *, id: str) -> dict[str, Any]:  # noqa: A002
        """Print its name and whose it is."""
        row = _row(Server, id)
        return {"server": row.name, **_of(row.customer)}

    @subcommand("The server key of a number.", _ID)
    def key(self, *, id: str) -> dict[str, Any]:  # noqa: A002
        """Print its beginning and whose it is."""
        row = _row(ServerKey, id)
        return {"key": row.prefix, "server": row.server.name, **_of(row.server.customer)}

    @subcommand("The app of a number.", _ID)
    def app(self, *, id: str) -> dict[str, Any]:  # noqa: A002
        """Print its label, topic and whose it is."""
        return _app(_row(PushApp, id))

    @subcommand("The credential of a number.", _ID)
    def credential(self, *, id: str) -> dict[str, Any]:  # noqa: A002
        """Print what it may be called by, and whose it is."""
        row = _row(Credential, id)
        return {"credential": row.key_id, "kind": row.kind, "slot": row.slot, **_app(row.app)}


def _app(row: PushApp) -> dict[str, Any]:
    return {"app": row.label, "topic": row.topic, **_of(row.customer)}


def _of(row: Customer | None) -> dict[str, Any]:
    """Whose it is; an app of nobody's is the operator's."""
    return {"customer": row.slug, "name": row.name} if row is not None else {"customer": "", "name": "(shared)"}


def _row(model: type[Row], number: str) -> Row:
    """The row of a number."""
    found = model._default_manager.filter(pk=int(number)).first() if number.isascii() and number.isdigit() else None
    if found is None:
        raise ProblemError(f"there is no {model._meta.verbose_name} {number[:20]}")
    return found
