"""Prepared queries: query sets whose SQL Django makes once in a process, with values that are filled in at each run.

    _SINCE = Given("since", DateTimeField())
    _REFUSED = Prepared(lambda: Rejection.objects.filter(last_at__gte=_SINCE).values_list("code", "count"))
    for code, count in _REFUSED.rows(since=now - DAY): ...

Django takes one to two milliseconds to make the SQL of an aggregation, anew for each request: more than PostgreSQL
takes for most of them. Invariant: what is read is what the query set itself would read in the same place. The fence
(fence.py) gives its condition the scope's value whenever the query is sent, and a scope of another kind has SQL of its
own; the policies of the database hold besides, as ever.

    with together():
        some, more = _SOME.later(since=day_ago), _MORE.later(since=day_ago)
        work_on(some())  # while PostgreSQL goes through the other one
        work_on(more())

Pipelined (https://www.postgresql.org/docs/current/libpq-pipeline-mode.html), queries that need nothing of each other
wait for each other's rows no more than for the work on them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any, Final, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connection, connections
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.postgresql.compiler import SQLCompiler
from django.db.models import Expression, Field, QuerySet
from django.db.models.sql.compiler import cursor_iter
from django.db.models.sql.constants import GET_ITERATOR_CHUNK_SIZE, MULTI
from psycopg.pq import PipelineStatus

from tenants import fence

Rows = Callable[[], list[Any]]
"""Gives the rows of a query that has been sent; waits until they are there."""


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
    # Of a query that has been sent.
    sent: Any = None

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

    def send(self) -> None:
        """Send the query ahead, with the word that its rows are wanted before what is sent after it has been done."""
        cursor = self.connection.cursor()
        try:
            cursor.execute(*self.as_sql())
            self.connection.connection.pgconn.send_flush_request()
        except BaseException:
            cursor.close()
            raise
        self.sent = cursor

    def execute_sql(
        self, result_type: Any = MULTI, chunked_fetch: bool = False, chunk_size: int = GET_ITERATOR_CHUNK_SIZE
    ) -> Any:
        """The rows: of the query that was sent, else of one that is sent now."""
        if self.sent is None:
            return super().execute_sql(result_type, chunked_fetch, chunk_size)
        cursor, self.sent = self.sent, None
        with self.connection.wrap_database_errors:
            self.connection.connection.wait_for_rows_of(cursor.cursor)
        columns = self.col_count if self.has_extra_select else None
        return list(cursor_iter(cursor, self.connection.features.empty_fetchmany_value, columns, chunk_size))


@contextmanager
def together() -> Iterator[None]:
    """Have queries sent without a wait for their rows: within it Prepared.later() sends, and rows are waited for when
    they are asked for. Any other query set's are read at once, as ever.

    In a transaction, whose scope they are read in. Raises django.db.Error at its end for one that nobody has asked for.
    """
    connection.ensure_connection()
    raw = connection.connection
    # A pipeline takes parameters apart from the SQL alone.
    usual, raw.cursor_factory = raw.cursor_factory, ServerBindingCursor
    try:
        with connection.wrap_database_errors, raw.pipeline():
            yield
    finally:
        raw.cursor_factory = usual


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
        return self.later(**values)()

    def later(self, **values: Any) -> Rows:
        """Send it as rows() runs it, if queries are sent together(); what is returned gives the rows.

        Elsewhere it is run when they are asked for; ask once, in the same scope.
        """
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
                return list
            made = self._made[kind] = query_set, compiler
        run, compiler = made[0].all(), copy(made[1])
        # Of this run alone: threads run it at the same time, each on a connection of its own.
        compiler.connection, compiler.values = connections[run.db], values
        run.query.get_compiler = lambda *_, **__: compiler  # type: ignore[method-assign]
        if _is_pipeline(compiler.connection):
            compiler.send()
        return lambda: list(run)


def _is_pipeline(wrapper: Any) -> bool:
    raw = wrapper.connection
    return raw is not None and raw.pgconn.pipeline_status == PipelineStatus.ON
