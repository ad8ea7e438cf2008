"""Tenant isolation in the ORM, the first fence: the models' own manager restricts every query to the active scope.

Every model with a tenant's rows is a `TenantModel` and says by `paths` how its rows are reached. A query of it looks at
the context when it is sent, not when it is written, so that one which was written elsewhere is fenced all the same:

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
    """A page queried tenants' rows without an active scope, or rows that its scope has none of: a bug of ours."""


class ScopeKind(Enum):
    """The kinds of scopes: none entered yet, one customer's, one person's, one invitation's, or unrestricted."""

    NOTHING = "nothing"
    CUSTOMER = "customer"
    PERSON = "person"
    INVITATION = "invitation"
    EVERYTHING = "everything"


@dataclass(frozen=True)
class ActiveScope:
    """The scope in force: a customer's id, a user's id, the digest of an invitation's token."""

    kind: ScopeKind
    customer: int | None = None
    user: int | None = None
    digest: bytes | None = None


NOTHING: Final = ActiveScope(ScopeKind.NOTHING)
_active_scope: ContextVar[ActiveScope | None] = ContextVar("reach", default=None)
_filled_in_later: ContextVar[bool] = ContextVar("filled_in_later", default=False)


def active_scope() -> ActiveScope | None:
    """The scope in force at the moment; None outside of the pages, where queries are unrestricted."""
    return _active_scope.get()


@contextmanager
def filled_in_later() -> Iterator[None]:
    """SQL that is made in the block is kept for other scopes of the same kind: in the places of their values, also in
    those of its subqueries, it has OfScope."""
    token = _filled_in_later.set(True)
    try:
        yield
    finally:
        _filled_in_later.reset(token)


@contextmanager
def activate(wanted: ActiveScope) -> Iterator[None]:
    """Activate a scope for the block; scope.py alone calls it, because row-level security needs it as well."""
    token = _active_scope.set(wanted)
    try:
        yield
    finally:
        _active_scope.reset(token)


class Paths(NamedTuple):
    """Lookup paths from a row to the customer's id, and if there is one to the person's id and an invitation's digest.

    `customer` goes along foreign keys ("key__server__customer_id"). The two others are one column of the row, or
    "relation.column": a column of rows that point here. What has no path is in no such scope.
    """

    customer: str
    user: str = ""
    digest: str = ""


class InScope(models.Expression):
    """SQL condition: the row is in the active scope. It is always true where all rows are, and raises Unscoped in none.

    Conditions on other tables are subqueries, not joins: a query stays one that can be locked, updated and deleted.
    """

    output_field = models.BooleanField()
    conditional = True
    # What it depends on is not in it: two of one model are the same.
    contains_aggregate = contains_over_clause = False

    def __init__(self, model: "type[TenantModel]", column: Any = None, *, by_index: bool = True) -> None:
        """A condition on rows of this model; by_index: whether PostgreSQL may look rows up by it."""
        super().__init__()
        self.model = model
        self.column: Any = column or models.F("pk")
        self.by_index = by_index

    def get_source_expressions(self) -> list[Any]:
        """The primary key, by which the table's alias is known."""
        return [self.column]

    def set_source_expressions(self, exprs: Any) -> None:
        """See above."""
        (self.column,) = exprs

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """The condition in SQL. Raises Unscoped."""
        path, value = scope_filter(self.model)
        if not path:
            raise FullResultSet
        quote = compiler.quote_name_unless_alias
        given = OfScope(self.model) if _filled_in_later.get() else value
        alias = quote(self.column.alias)
        if not self.by_index:
            return f"{alias}.{quote(path)} + 0 = %s", (given,)
        return _condition(self.model, alias, path, quote), (given,)


class OfScope(NamedTuple):
    """Among the parameters of SQL that is kept, the place of the value that restricts a model's rows to the scope in
    force."""

    model: "type[TenantModel]"

    @property
    def value(self) -> Any:
        """That value. Raises Unscoped."""
        return scope_filter(self.model)[1]


def scope_filter(model: "type[TenantModel]") -> tuple[str, Any]:
    """The lookup path and value that restrict `model` to the active scope; "" for all rows. Raises Unscoped."""
    scope = _active_scope.get()
    if scope is None or scope.kind is ScopeKind.EVERYTHING:
        return "", None
    found: tuple[str, Any] = ("", None)
    if scope.kind is ScopeKind.CUSTOMER:
        found = model.paths.customer, scope.customer
    elif scope.kind is ScopeKind.INVITATION and model.paths.digest:
        found = model.paths.digest, scope.digest
    elif scope.kind in (ScopeKind.PERSON, ScopeKind.INVITATION):
        found = model.paths.user, scope.user
    if not found[0]:
        raise Unscoped(f"{model.__name__} is not reached by this page: enter a scope of tenants.scope that has it.")
    return found


def _condition(model: type[models.Model], alias: str, path: str, quote: Any, depth: int = 0) -> str:
    """The condition in SQL on the rows of `alias`, with a placeholder for the value at the end of the path."""
    relation, _, column = path.partition(".")
    if column:
        there = model._meta.get_field(relation).related_model
        back = model._meta.get_field(relation).field.column  # type: ignore[union-attr]
        table = quote(there._meta.db_table)  # type: ignore[union-attr]
        return f"{alias}.{quote('id')} IN (SELECT {quote(back)} FROM {table} WHERE {quote(column)} = %s)"  # noqa: S608
    hop, _, rest = path.partition("__")
    if not rest:
        return f"{alias}.{quote(path)} = %s"
    field: Any = model._meta.get_field(hop)
    inner = f"hop{depth}"
    condition = _condition(field.related_model, inner, rest, quote, depth + 1)
    table = quote(field.related_model._meta.db_table)
    return f"{alias}.{quote(field.column)} IN (SELECT {inner}.{quote('id')} FROM {table} {inner} WHERE {condition})"  # noqa: S608


Row = TypeVar("Row", bound="TenantModel")


class TenantQuerySet(models.QuerySet[Row]):
    """A query set of rows in the active scope. What is created or moved is checked one by one."""

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[Row]:
        """As Django's. Raises Unscoped for a row out of scope."""
        rows = list(objs)
        for row in rows:
            row.check_in_scope()
        return super().bulk_create(rows, *args, **kwargs)

    def update(self, **kwargs: Any) -> int:
        """As Django's. Raises Unscoped for what would give rows to another owner."""
        path, _ = scope_filter(self.model)
        hop = path.partition("__")[0].removesuffix("_id")
        if path and hop not in ("", "id") and {hop, f"{hop}_id"} & set(kwargs):
            raise Unscoped(f"{self.model.__name__} stays with its {hop}: no page moves it to another.")
        return super().update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]

    def raw(self, raw_query: Any, *args: Any, **kwargs: Any) -> Any:
        """As Django's, outside of the pages; inside nothing could be added to the query. Raises Unscoped."""
        path, _ = scope_filter(self.model)
        if path:
            raise Unscoped(f"No page reads {self.model.__name__} by SQL of its own.")
        return super().raw(raw_query, *args, **kwargs)


class TenantManager(models.Manager[Row]):
    """The manager of every model with a tenant's rows, also for what Django reads by itself through relations."""

    def get_queryset(self) -> TenantQuerySet[Row]:
        """The rows in the active scope."""
        rows: TenantQuerySet[Row] = TenantQuerySet(model=self.model, using=self._db, hints=self._hints)  # type: ignore[attr-defined]
        return rows.filter(InScope(self.model))

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[Row]:
        """As the query set's."""
        return self.get_queryset().bulk_create(objs, *args, **kwargs)

    def raw(self, raw_query: Any, *args: Any, **kwargs: Any) -> Any:
        """As the query set's."""
        return self.get_queryset().raw(raw_query, *args, **kwargs)


class ByIdManager(TenantManager[Row]):
    """The same rows, for those who find some by an id: PostgreSQL has to look them up by that, not by the customer.

    It holds the customer's condition and that of row-level security for independent, expects one row, and may read all
    that a small customer has, on every day, where the index of the id finds ten. For models with a customer's id.
    """

    def get_queryset(self) -> TenantQuerySet[Row]:
        """The rows in the active scope."""
        rows: TenantQuerySet[Row] = TenantQuerySet(model=self.model, using=self._db, hints=self._hints)  # type: ignore[attr-defined]
        return rows.filter(InScope(self.model, by_index=False))


class TenantModel(models.Model):
    """Abstract model of rows that belong to a customer. `paths` says how that is known."""

    paths: ClassVar[Paths]

    objects = TenantManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """As Django's. Raises Unscoped for a row out of scope."""
        self.check_in_scope()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """As Django's. Raises Unscoped for a row out of scope."""
        self.check_in_scope()
        return super().delete(*args, **kwargs)

    def check_in_scope(self) -> None:
        """Raise Unscoped unless this row is in the active scope as it is, saved or not."""
        path, value = scope_filter(type(self))
        if not path:
            return
        found: Any = self
        if "." not in path:
            try:
                for hop in path.split("__"):
                    found = getattr(found, hop)
            except models.ObjectDoesNotExist:
                found = None
        # A row that others point at is made and changed in no scope of theirs.
        if "." in path or found is None or not _same(found, value):
            raise Unscoped(f"This {type(self).__name__} is not of the page's scope: it is neither saved nor deleted.")


class LookedUpModel(TenantModel):
    """Abstract model of rows, of very many, that are found by ids which have indexes of their own: by `by_id`."""

    by_id = ByIdManager()

    class Meta:
        abstract = True
        base_manager_name = default_manager_name = "objects"


def _same(found: Any, value: Any) -> bool:
    return bool((bytes(found) if isinstance(value, bytes) else found) == value)


def tenant_models() -> list[type[TenantModel]]:
    """Every model with a tenant's rows."""
    return [model for model in apps.get_models() if issubclass(model, TenantModel)]
