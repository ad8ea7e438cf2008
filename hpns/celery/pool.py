"""A Celery pool whose tasks are coroutines on the worker's one loop.

Celery's `worker_pool` takes a class: this one runs `task.coroutine(request, *args, **kwargs)` where a task has such an
attribute, and any other task in a thread, one of its name at a time. `request` is Celery's request as a mapping (id,
delivery_info, ...).

Invariants: a message is acknowledged (acks_late) only after its coroutine ended; one that does not fit its task is put
aside (transport.py); a warm shutdown awaits what runs; a task that hangs holds one message of the prefetch count,
however many come for it.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from typing import Any

import msgspec
from billiard.einfo import ExceptionInfo
from celery.concurrency.base import BasePool
from celery.exceptions import Reject
from kombu.asynchronous import get_event_loop
from kombu.serialization import loads

from delivery.executors import BoundedExecutor
from hpns.celery import task_notes

logger = logging.getLogger(__name__)

# Seconds that a warm shutdown waits for what runs; above the deadline of an attempt, below every supervisor's patience.
DRAIN_SECONDS = 8.0
# For tasks without a coroutine, which are the timetable's: each comes again, and none takes arguments, so that a second
# one beside the first would do the same. Two threads, so that a long one does not hold up all others.
TIMETABLE = BoundedExecutor("the timetable", threads=2, queued=8)


def _arguments(body: str | bytes | memoryview, content_type: str, encoding: str) -> Any:
    """Decode a task's message: arguments, keyword arguments and what Celery adds.

    kombu's decoder of JSON is made anew for each message, to find types of its own that no task here uses. Anything
    but JSON is kombu's to refuse.
    """
    if content_type == "application/json":
        return msgspec.json.decode(body)
    return loads(body, content_type, encoding, accept=("application/json",))


def _rejection(error: Exception) -> ExceptionInfo:
    """What makes Celery reject a message, which puts it aside."""
    try:
        raise Reject(type(error).__name__, requeue=False) from error
    except Reject:
        return ExceptionInfo()


class LoopPool(BasePool):  # type: ignore[misc]
    """See the module. `limit` bounds nothing by itself: the prefetch count does, and with it the worker's memory."""

    body_can_be_buffer = True
    signal_safe = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.hub = get_event_loop()
        self.running: set[asyncio.Task[None]] = set()
        self.in_threads: set[str] = set()  # names of tasks
        self.intervals = task_notes.intervals(self.app) if self.app is not None else {}

    def on_apply(
        self,
        target: Any,
        args: Any = None,
        kwargs: Any = None,
        callback: Callable[[Any], None] | None = None,
        accept_callback: Callable[[int, float], None] | None = None,
        **_options: Any,
    ) -> None:
        """Start the task that Celery hands over; args are (name, id, request, body, content type, encoding)."""
        name, _uid, request, body, content_type, encoding = args
        if accept_callback is not None:
            accept_callback(os.getpid(), time.monotonic())
        task = self.hub.aio.create_task(self._run(name, request, body, content_type, encoding, callback))
        self.running.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        self.running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("the end of a task could not be reported to Celery", exc_info=task.exception())

    async def _run(
        self,
        name: str,
        request: Any,
        body: Any,
        content_type: str,
        encoding: str,
        callback: Callable[[Any], None] | None,
    ) -> None:
        started = time.monotonic()
        failed = False
        value: Any = None
        fits = False
        try:
            args, kwargs, _embed = (
                _arguments(body, content_type, encoding) if isinstance(body, str | bytes | memoryview) else body
            )
            task = self.app.tasks[name]
            coroutine = getattr(task, "coroutine", None)
            if coroutine is not None:
                running = coroutine(request, *args, **kwargs)
                fits = was_run = True
                await running
            else:
                fits = True
                was_run = await self._run_in_thread(name, lambda: task(*args, **kwargs))
            if was_run and name in self.intervals:
                await task_notes.ended(name, self.intervals[name])
        except Reject as rejected:
            what = "requeued" if rejected.requeue else "gave up"
            logger.warning("task %s %s its message: %s", name, what, rejected.reason)
            failed, value = True, ExceptionInfo()
        except Exception as error:
            # A task of ours ends its pushes itself; what reaches this line is a fault of ours. The message is taken
            # off the queue all the same: it would otherwise come back for ever.
            logger.exception("task %s failed", name)
            failed, value = True, ExceptionInfo() if fits else _rejection(error)
        if callback is not None:
            callback((failed, value, time.monotonic() - started))

    async def _run_in_thread(self, name: str, work: Callable[[], object]) -> bool:
        """Run a task in a thread; False where one of its name runs there already, which may hang."""
        if name in self.in_threads:
            logger.warning("task %s is still running here, so that its next message is left out", name)
            return False
        self.in_threads.add(name)
        try:
            await TIMETABLE.run(work)
        finally:
            self.in_threads.discard(name)
        return True

    def on_close(self) -> None:
        """Warm shutdown: wait for what runs, at most DRAIN_SECONDS; the rest is requeued, not being acknowledged."""
        self.hub.drain(self.running, DRAIN_SECONDS)

    def on_terminate(self) -> None:
        """Cold shutdown: nothing is awaited; unacknowledged messages are redelivered."""
        for task in self.running:
            task.cancel()
