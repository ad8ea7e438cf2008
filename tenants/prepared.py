"""Prepared queries: query sets whose SQL Django makes once in a process, with values that are filled in at each run.

    _SINCE = Given("since", DateTimeField())
    _REFUSED = Prepared(lambda: Rejection.objects.filter(last_at__gte=_SINCE).values_list("code", "count"))
    for code, count in _REFUSED.rows(since=now - DAY): ...

Django takes one to two milliseconds to make the SQL of an aggregation, anew for each request: more than PostgreSQL
takes for most of them. Invariant: what is read is what the query set itself would read in the same place. The fence
(fence.py) gives its condition the scope's value whenever the query is sent, and a scope of another kind has SQL of its
own; the policies of the database hold besides, as ever.
"""

from collections.abc import Callable
from copy import copy
from typing import Any, Final, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.backends.postgresql.compiler import SQLCompiler
from django.db.models import Expression, Field, QuerySet

from tenants import fence


class _Place(NamedTuple):
    """Among the parameters of the SQL, where the value of this name goes."""

    name: str


class Given(Expression):
    """A value of a prepared query, by the name that rows() is given it by."""

    def __init__(self, name: str, output_field: "Field[Any, Any]") -> None:
        """output_field: as what the value is compared; it is sent as it is given."""
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """A placeholder."""
        return "%s", (_Place(self.name),)


class _Compiler(SQLCompiler):
    """Makes its SQL at the first run alone."""

    made: tuple[str, tuple[Any, ...]] | None = None
    values: dict[str, Any]
    converters: dict[Any, Any] | None = None

    def as_sql(self, with_limits: bool = True, with_col_aliases: bool = False) -> Any:
        """The SQL, and its parameters for this run."""
        if self.made is None:
            with fence.filled_in_later():
                sql, params = super().as_sql(with_limits, with_col_aliases)
            self.made = sql, tuple(params)
        return self.made[0], tuple(self._filled(param) for param in self.made[1])

    def _filled(self, param: Any) -> Any:
        if isinstance(param, _Place):
            return self.values[param.name]
        return param.value if isinstance(param, fence.OfScope) else param

    def get_converters(self, expressions: Any) -> Any:
        """Those of the columns, which are always the same."""
        if self.converters is None:
            self.converters = super().get_converters(expressions)
        return self.converters


class Prepared:
    """A query set that is run many times; of rows, of models or (`values_list`) of values. No prefetch_related.

    It holds some kilobytes for each kind of scope that it is run in.
    """

    def __init__(self, query_set: "Callable[[], QuerySet[Any, Any]]") -> None:
        """query_set: makes what is run, Given() in the places of values; it is called once, at the first run."""
        self._build: Final = query_set
        self._made: dict[fence.ScopeKind | None, tuple[QuerySet[Any, Any], _Compiler]] = {}

    def rows(self, **values: Any) -> list[Any]:
        """Run it in the scope in force, with a value for each Given(). Raises KeyError for one that is missing, and
        what the query set raises."""
        scope = fence.active_scope()
        kind = scope.kind if scope is not None else None
        made = self._made.get(kind)
        if made is None:
            query_set = self._build()
            compiler = _Compiler(query_set.query, connections[query_set.db], query_set.db)
            compiler.values = values
            try:
                compiler.as_sql()
            except EmptyResultSet:
                return []
            made = self._made[kind] = query_set, compiler
        run, compiler = made[0].all(), copy(made[1])
        # Of this run alone: threads run it at the same time, each on a connection of its own.
        compiler.connection, compiler.values = connections[run.db], values
        run.query.get_compiler = lambda *_, **__: compiler  # type: ignore[method-assign]
        return list(run)
