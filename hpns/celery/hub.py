"""kombu's event hub on an asyncio loop, so that Celery's consumer and our coroutines share one thread and one loop.

kombu lets a program install its own hub (kombu.asynchronous.set_event_loop); Celery's worker then drives it by
calling next() on what create_loop() returns. Each turn runs the asyncio loop for a moment. Two threads instead would
cost about two futex calls a push and the jitter of the interpreter lock.

Invariant: what the stock hub promises holds: callbacks of ready file descriptors, timers, on_tick, call_soon, and an
error of the broker's connection ends the turn with that error.
"""

import asyncio
import copy
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvloop
from celery.signals import worker_shutting_down
from kombu.asynchronous import Hub, set_event_loop
from kombu.utils.compat import fileno
from vine import Thenable, promise

from tenants.ticks import until_tick

# Seconds between two looks at Celery's flags (prefetch) when nothing happens; a signal to stop ends a turn at once.
TURN_SECONDS = 1.0


class AsyncioHub(Hub):  # type: ignore[misc]
    """A kombu hub whose poller is an asyncio loop."""

    def __init__(self, timer: Any = None, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.aio = loop or uvloop.new_event_loop()
        self._error: BaseException | None = None
        self._thread = threading.get_ident()
        # Called once when the worker begins to stop: whoever consumes messages must stop.
        self.on_drain: list[Callable[[], None]] = []
        super().__init__(timer)

    def add(self, fd: Any, callback: Callable[..., Any], flags: int, args: Any = (), consolidate: bool = False) -> None:
        """Call `callback(*args)` whenever `fd` is ready; consolidated readers belong to Celery's prefork pool only."""
        if consolidate:
            raise NotImplementedError("consolidated readers belong to Celery's prefork pool")
        number = fileno(fd)
        if flags & self.READ:
            self.readers[number] = callback, args
            self.aio.add_reader(number, self._fire, callback, args)
        else:
            self.writers[number] = callback, args
            self.aio.add_writer(number, self._fire, callback, args)

    def _unregister(self, fd: Any) -> None:
        try:
            number = fileno(fd)
        except (ValueError, OSError):
            return
        if number in self.readers:
            self.aio.remove_reader(number)
        if number in self.writers:
            self.aio.remove_writer(number)

    def _fire(self, callback: Callable[..., Any], args: Any) -> None:
        try:
            callback(*args)
            for tick in copy.copy(self.on_tick):
                tick()
        except BaseException as error:  # noqa: BLE001  the turn raises it, as the stock hub does
            self._stop(error)

    def _stop(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        self.aio.stop()

    def call_soon(self, callback: Any, *args: Any) -> Any:
        """Run `callback` in the next turn; may be called from another thread."""
        if not isinstance(callback, Thenable):
            callback = promise(callback, args)
        if threading.get_ident() == self._thread:
            self.aio.call_soon(self._run_soon, callback)
        else:
            self.aio.call_soon_threadsafe(self._run_soon, callback)
        return callback

    def _run_soon(self, callback: Callable[[], Any]) -> None:
        try:
            callback()
        except BaseException as error:  # noqa: BLE001  the turn raises it, as the stock hub does
            self._stop(error)

    def create_loop(self, *_args: Any, **_options: Any) -> Iterator[None]:
        """Turns of the loop, one per next(); a turn ends after at most TURN_SECONDS seconds."""
        self._thread = threading.get_ident()
        while True:
            self.turn()
            yield

    def turn(self) -> None:
        """Fire what is due and run the asyncio loop for a moment. Raises what a callback raised."""
        delay = self.fire_timers(propagate=self.propagate_errors) if self.timer._queue else TURN_SECONDS
        for tick in copy.copy(self.on_tick):
            tick()
        longest = until_tick(TURN_SECONDS, self.aio.time())
        stop = self.aio.call_later(max(0.0, min(delay, longest)), self.aio.stop)
        try:
            self.aio.run_forever()
        finally:
            stop.cancel()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def drain(self, running: set[asyncio.Task[None]], seconds: float) -> None:
        """Consume no more messages, run until the tasks in `running` (a live set) have ended, or for `seconds`."""
        for stop in self.on_drain:
            stop()
        end = self.aio.time() + seconds
        while running and self.aio.time() < end:
            self.aio.run_until_complete(asyncio.wait(running, timeout=end - self.aio.time()))
        # What the tasks left for the loop to do, their acknowledgements above all, is done now.
        self.aio.run_until_complete(asyncio.sleep(0.01))

    def end_turn(self) -> None:
        """End the turn that runs, so that Celery looks at its flags; may be called from a signal handler."""
        self.aio.call_soon_threadsafe(self.aio.stop)


def install() -> AsyncioHub:
    """Make this thread's asyncio loop and put a hub on it as the one that Celery's worker will use."""
    hub = AsyncioHub()
    asyncio.set_event_loop(hub.aio)
    set_event_loop(hub)

    def end_turn(**_: Any) -> None:
        hub.end_turn()

    # Sent by Celery's handlers of SIGTERM, SIGINT and SIGQUIT, which set its flags right after that.
    worker_shutting_down.connect(end_turn, weak=False)
    return hub
