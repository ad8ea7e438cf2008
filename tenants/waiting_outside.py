"""Waiting for somebody outside of the service while a page is made: bulkhead and connections are left meanwhile.

A view that waits (a provider's answer, a child process, a mail server) does so within `outside()`. The process of pages
says by `ON_WAIT` what is given up then: a place among those that ask, and the thread's connections to the database. In
every other process, and where nothing was said, waiting is just waiting. Invariant: no transaction is open meanwhile;
one that is keeps its connection, and with it the place.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from django.db import connections

ON_WAIT: Final[ContextVar[Callable[[], None] | None]] = ContextVar("ON_WAIT", default=None)


@contextmanager
def outside() -> Iterator[None]:
    """Wait within it: what the request being made holds for itself is given up first, once, by ON_WAIT's value."""
    leave = ON_WAIT.get()
    if leave is not None and not any(one.in_atomic_block for one in connections.all(initialized_only=True)):
        connections.close_all()
        leave()
    yield
