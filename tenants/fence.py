"""The first fence: which tenants' rows a piece of code reaches, decided by the models' own manager.

Every model with a tenant's rows is `Walled` and says by `paths` how its rows are reached. A query of it looks at the
context when it is sent, not when it is written, so that one which was written elsewhere is fenced all the same:

- outside of the pages (the path of a push, workers, commands) it reaches every row;
- in a page that has entered no scope (scope.py) it raises Unscoped;
- in a scope it reaches that scope's rows, and nothing of another customer's can be saved.

The second fence is row-level security in the database (migrations 0003): it also holds for SQL that is written by hand.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Final, NamedTuple, TypeVar

from django.apps import apps
from django.core.exceptions import FullResultSet
from django.db import models
from django.db.models.sql.compiler import SQLCompiler


class Unscoped(RuntimeError):
    """A page reached for tenants' rows without saying whose, or for rows that its scope has none of: a bug of ours."""


class Kind(Enum):
    """What is reached: by a page that has not said yet, of one customer, of one person, of one invitation, or all."""

    NOTHING = "nothing"
    CUSTOMER = "customer"
    PERSON = "person"
    INVITATION = "invitation"
    EVERYTHING = "everything"


@dataclass(frozen=True)
class Reach:
    """Whose rows are reached: a customer's id, a user's id, the digest of an invitation's token."""

    kind: Kind
    customer: int | None = None
    user: int | None = None
    digest: bytes | None = None


NOTHING: Final = Reach(Kind.NOTHING)
_reach: ContextVar[Reach | None] = ContextVar("reach", default=None)


def reach() -> Reach | None:
    """What is reached at the moment; None outside of the pages, where it is everything."""
    return _reach.get()


@contextmanager
def reaching(wanted: Reach) -> Iterator[None]:
    """Reach just this inside; scope.py alone calls it, because the database has to be told as well."""
    token = _reach.set(wanted)
    try:
        yield
    finally:
        _reach.reset(token)


class Paths(NamedTuple):
    """The way from a row to the customer's id, and where there is one to the person's id and an invitation's digest.

    `customer` goes along foreign keys ("key__server__customer_id"). The two others are one column of the row, or
    "relation.column": a column of rows that point here. What has no way is reached in no such scope.
    """

    customer: str
    user: str = ""
    digest: str = ""


class InReach(models.Expression):
    """A condition: the row is within reach. It has no bounds where everything is, and raises Unscoped where nothing is.

    Conditions on other tables are subqueries, not joins: a query stays one that can be locked, updated and deleted.
    """

    output_field = models.BooleanField()
    conditional = True
    # What it depends on is not in it: two of one model are the same.
    contains_aggregate = contains_over_clause = False

    def __init__(self, model: "type[Walled]", column: Any = None) -> None:
        """Of rows of this model."""
        super().__init__()
        self.model = model
        self.column: Any = column or models.F("pk")

    def get_source_expressions(self) -> list[Any]:
        """The primary key, by which the table's alias is known."""
        return [self.column]

    def set_source_expressions(self, exprs: Any) -> None:
        """See above."""
        (self.column,) = exprs

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """The condition in SQL. Raises Unscoped."""
        way, value = way_of(self.model)
        if not way:
            raise FullResultSet
        quote = compiler.quote_name_unless_alias
        return _condition(self.model, quote(self.column.alias), way, quote), (value,)


def way_of(model: "type[Walled]") -> tuple[str, Any]:
    """By which path rows of `model` are reached now and the value at its end; "" for all of them. Raises Unscoped."""
    here = _reach.get()
    if here is None or here.kind is Kind.EVERYTHING:
        return "", None
    found: tuple[str, Any] = ("", None)
    if here.kind is Kind.CUSTOMER:
        found = model.paths.customer, here.customer
    elif here.kind is Kind.INVITATION and model.paths.digest:
        found = model.paths.digest, here.digest
    elif here.kind in (Kind.PERSON, Kind.INVITATION):
        found = model.paths.user, here.user
    if not found[0]:
        raise Unscoped(f"{model.__name__} is not reached by this page: enter a scope of tenants.scope that has it.")
    return found


def _condition(model: type[models.Model], alias: str, way: str, quote: Any, depth: int = 0) -> str:
    """The rows of `alias` at whose end of the way one value is to be put in."""
    relation, _, column = way.partition(".")
    if column:
        there = model._meta.get_field(relation).related_model
        back = model._meta.get_field(relation).field.column  # type: ignore[union-attr]
        table = quote(there._meta.db_table)  # type: ignore[union-attr]
        return f"{alias}.{quote('id')} IN (SELECT {quote(back)} FROM {table} WHERE {quote(column)} = %s)"  # noqa: S608
    hop, _, rest = way.partition("__")
    if not rest:
        return f"{alias}.{quote(way)} = %s"
    field: Any = model._meta.get_field(hop)
    inner = f"way{depth}"
    condition = _condition(field.related_model, inner, rest, quote, depth + 1)
    table = quote(field.related_model._meta.db_table)
    return f"{alias}.{quote(field.column)} IN (SELECT {inner}.{quote('id')} FROM {table} {inner} WHERE {condition})"  # noqa: S608


Row = TypeVar("Row", bound="Walled")


class FencedQuerySet(models.QuerySet[Row]):
    """Rows within reach. What is made or moved is looked at one by one."""

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[Row]:
        """As Django's. Raises Unscoped for a row out of reach."""
        rows = list(objs)
        for row in rows:
            row.stay_within()
        return super().bulk_create(rows, *args, **kwargs)

    def update(self, **kwargs: Any) -> int:
        """As Django's. Raises Unscoped for what would give rows to another owner."""
        way, _ = way_of(self.model)
        hop = way.partition("__")[0].removesuffix("_id")
        if way and hop not in ("", "id") and {hop, f"{hop}_id"} & set(kwargs):
            raise Unscoped(f"{self.model.__name__} stays with its {hop}: no page moves it to another.")
        return super().update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]

    def raw(self, raw_query: Any, *args: Any, **kwargs: Any) -> Any:
        """As Django's, outside of the pages; inside nothing could be added to the query. Raises Unscoped."""
        way, _ = way_of(self.model)
        if way:
            raise Unscoped(f"No page reads {self.model.__name__} by SQL of its own.")
        return super().raw(raw_query, *args, **kwargs)


class Fenced(models.Manager[Row]):
    """The manager of every model with a tenant's rows, also for what Django reads by itself through relations."""

    def get_queryset(self) -> FencedQuerySet[Row]:
        """Rows within reach."""
        rows: FencedQuerySet[Row] = FencedQuerySet(model=self.model, using=self._db, hints=self._hints)  # type: ignore[attr-defined]
        return rows.filter(InReach(self.model))

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[Row]:
        """As the query set's."""
        return self.get_queryset().bulk_create(objs, *args, **kwargs)

    def raw(self, raw_query: Any, *args: Any, **kwargs: Any) -> Any:
        """As the query set's."""
        return self.get_queryset().raw(raw_query, *args, **kwargs)


class Walled(models.Model):
    """A row that belongs to a customer. `paths` says how that is known."""

    paths: ClassVar[Paths]

    objects = Fenced()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """As Django's. Raises Unscoped for a row out of reach."""
        self.stay_within()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """As Django's. Raises Unscoped for a row out of reach."""
        self.stay_within()
        return super().delete(*args, **kwargs)

    def stay_within(self) -> None:
        """Raise Unscoped unless this row is within reach as it is, saved or not."""
        way, value = way_of(type(self))
        if not way:
            return
        found: Any = self
        if "." not in way:
            try:
                for hop in way.split("__"):
                    found = getattr(found, hop)
            except models.ObjectDoesNotExist:
                found = None
        # A row that others point at is made and changed in no scope of theirs.
        if "." in way or found is None or not _same(found, value):
            raise Unscoped(f"This {type(self).__name__} is not of the page's scope: it is neither saved nor deleted.")


def _same(found: Any, value: Any) -> bool:
    return bool((bytes(found) if isinstance(value, bytes) else found) == value)


def fenced() -> list[type[Walled]]:
    """Every model with a tenant's rows."""
    return [model for model in apps.get_models() if issubclass(model, Walled)]
