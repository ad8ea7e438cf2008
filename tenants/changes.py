"""Result type and cache invalidation of every change to tenants' rows."""

from typing import Generic, NamedTuple, TypeVar

from django.db import IntegrityError, transaction

from tenants.directory import version_stamp
from tenants.problem import ProblemError

Row = TypeVar("Row")


class Changed(NamedTuple, Generic[Row]):
    """A row, and whether this call made or changed it."""

    row: Row
    changed: bool


def notify_processes(customer: int | None, *, key: int = 0) -> None:
    """Notify the running processes once the transaction in progress is committed (at once when there is none).

    `customer`: whose rows have changed, None for the shared apps; with `key`, this key of its servers alone.
    """
    change = version_stamp.Change(customer or 0, key)
    transaction.on_commit(lambda: _bump_version(change), robust=True)


def notify_of_anything() -> None:
    """As notify_processes(), of a change to rows of many: everything is compared."""
    transaction.on_commit(lambda: _bump_version(version_stamp.ANYTHING), robust=True)


def collision(error: IntegrityError) -> ProblemError:
    """The ProblemError of a violated unique constraint."""
    if "label" in str(error):
        return ProblemError("there is an enabled app of this label already: disable that one first")
    if "default" in str(error):
        return ProblemError("there is a default app of this family already: make that one no default first")
    return ProblemError("somebody else has just made the same: look again")


def normalised_name(name: str, what: str) -> str:
    """A name as it is kept: without blanks around it. Raises ProblemError for none, a long one, or one that breaks
    lines: names stand in e-mail and in lines of logs."""
    name = name.strip()
    if not name or len(name) > 200:
        raise ProblemError(f"a {what} needs a name of at most 200 characters")
    if not name.isprintable():
        raise ProblemError(f"the name of a {what} must be of printable characters, on one line")
    return name


def _bump_version(change: version_stamp.Change) -> None:
    version_stamp.bump(change)
