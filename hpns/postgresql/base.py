"""PostgreSQL backend with a client-side deadline: a server that says nothing is given up, and its connection closed.

PostgreSQL's own timeouts (statement_timeout, lock_timeout) end nothing when it is stopped, or when its packets are
dropped; TCP's notice a dead machine, not a process that is held still: its kernel goes on acknowledging. Everything
that psycopg waits for on an open connection goes through Connection.wait(), which takes a timeout; opening one has
connect_timeout. A server that takes no writes is away, too: OperationalError. Django loads this module by its name,
"base" (DATABASES, ENGINE).
"""

from types import SimpleNamespace
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg.abc import PQGen
from psycopg.errors import ReadOnlySqlTransaction, _WaitTimeout
from psycopg.generators import fetch_many, send


class Connection(psycopg.Connection[Any]):
    """A connection that waits no longer than `client_timeout` seconds for the next word (None: for ever)."""

    client_timeout: float | None = None

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """Run what psycopg does on the connection. Raises OperationalError, the connection closed, when time is over.

        One call is one statement, with all of its rows, or one piece of a COPY.
        """
        if timeout is not None:  # the caller's own: it knows what to do then
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.client_timeout)
        except _WaitTimeout:
            self.close()
            text = f"PostgreSQL has said nothing for {self.client_timeout:g} s; the connection is given up"
            raise psycopg.OperationalError(text) from None

    def wait_for_rows_of(self, cursor: psycopg.Cursor[Any]) -> None:
        """In a pipeline, wait for the rows of one query; psycopg waits for those of all that have been sent.

        Raises what it ended with, or one before it.
        """
        self.wait(self._until_there(cursor))

    def _until_there(self, cursor: psycopg.Cursor[Any]) -> PQGen[None]:
        pipeline = self._pipeline
        yield from send(self.pgconn)
        while pipeline is not None and cursor.pgresult is None and pipeline.result_queue:
            results = yield from fetch_many(self.pgconn)
            # In this order, which psycopg keeps: what fails has been taken off.
            pipeline._process_results(pipeline.result_queue.popleft(), results)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, whose connections have the deadline of OPTIONS' `client_timeout`: seconds, none where it is missing."""

    # What Django calls of the driver is connect(); everything else is psycopg's. That a server takes no writes (as a
    # standby, until it is promoted) is its state as much as that it is stopped, and no fault of what is written.
    Database = SimpleNamespace(  # type: ignore[assignment]
        **{
            **vars(psycopg),
            "connect": Connection.connect,
            "OperationalError": (psycopg.OperationalError, ReadOnlySqlTransaction),
        }
    )

    def get_connection_params(self) -> dict[str, Any]:
        """The parameters for psycopg."""
        parameters: dict[str, Any] = super().get_connection_params()
        parameters.pop("client_timeout", None)
        return parameters

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect. Raises psycopg.OperationalError."""
        connection = super().get_new_connection(conn_params)
        connection.client_timeout = self.settings_dict["OPTIONS"].get("client_timeout")
        return connection
