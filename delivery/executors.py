"""Bounded thread pools: blocking work off the loop, each kind of it in threads of its own.

What may hang (a database, a disk, a mail server) must not take the threads of what may not (the signature of an access
token): asyncio's default executor is one for all, and its queue has no end. Invariants: past its bound, work is
rejected at once and never queued; a thread that hangs keeps neither the loop nor the process from ending.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class ExecutorFullError(RuntimeError):
    """All threads of an executor are busy, and as many calls wait as may; the text names the executor."""


class BoundedExecutor:
    """At most `threads` daemon threads, for which `queued` calls more may wait. For one process, all its loops."""

    def __init__(self, name: str, *, threads: int, queued: int) -> None:
        """name: in plain words, for the names of threads and for errors. A thread is started when it is needed."""
        self.name = name
        self._threads_most, self._pending_most = threads, threads + queued
        self._threads = self._pending = 0  # pending: what runs or waits
        self._lock = threading.Lock()
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Begin `work(*args, **kwargs)` in a thread. Raises ExecutorFullError, or RuntimeError where the machine
        starts no thread; then nothing is queued."""
        with self._lock:
            if self._pending >= self._pending_most:
                raise ExecutorFullError(f"all threads for {self.name} are busy")
            if self._threads < min(self._threads_most, self._pending + 1):
                threading.Thread(target=self._run_calls, name=self.name, daemon=True).start()
                self._threads += 1
            self._pending += 1
        future: Future[T] = Future()
        self._calls.put((future, lambda: work(*args, **kwargs)))
        return future

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(*args, **kwargs)` in a thread and return its result. Raises what it raises, and what submit() does.

        Whoever stops waiting does not stop what has begun.
        """
        return await asyncio.wrap_future(self.submit(work, *args, **kwargs))

    def _run_calls(self) -> None:
        while True:
            future, call = self._calls.get()
            self._run(future, call)
            del future, call  # an idle thread keeps nothing alive

    def _run(self, future: "Future[Any]", call: Callable[[], Any]) -> None:
        result, problem = None, None
        if begun := future.set_running_or_notify_cancel():
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001  not swallowed: whoever awaits the result gets it
                problem = error
        with self._lock:
            self._pending -= 1  # before the result: whoever has got it finds room for the next call
        if begun:
            future.set_result(result) if problem is None else future.set_exception(problem)
