"""The pages process as a child of the web server's parent: started, watched, replaced and stopped beside the others.

It is a program of its own (hpns/pages_process.py) behind a Unix socket in a folder of ours, which nobody but the
service's user can enter; an abstract socket could be reached by everybody on the machine. A new process listens under
a name of its own and then takes over the old one's, so that there is no moment without one. Invariants: one that ends
is started again, with a back-off; so is one whose event loop gives no sign of life, killed first; nothing here waits,
for the parent has others to look after.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from hpns.forking import Launch, execute
from hpns.web.pages_protocol import SOCKET_VARIABLE
from hpns.web.server import BACKOFF_MAX, BACKOFF_MIN, STABLE_SECONDS

logger = logging.getLogger(__name__)

# Bytes that the path of a Unix socket may have, with its end and the name of a process. unix(7)
PATH_MAX: Final = 108 - len(b"/pages.sock.1234567\0")
# Seconds without a sign of life, which comes once a second. Counted while the parent itself was awake.
SILENCE_MAX: Final = 30.0
# The same before the first one: what it imports takes seconds, and half a minute on a machine that has much else to do.
START_SILENCE_MAX: Final = 180.0
# Seconds for one that was replaced, above the longest page; and for the last one, which has nothing to do any more.
REPLACED_SECONDS, STOP_SECONDS = 120.0, 3.0


class _Process:
    """One run of the program."""

    def __init__(self, socket: str, launch: Launch) -> None:
        read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._pipe = read
        options = ["--socket", socket, "--parent", str(os.getpid()), "--control", str(write)]
        try:
            self._process = launch([sys.executable, "-m", "hpns.pages_process", *options], [write])
        except OSError:
            os.close(read)
            raise
        finally:
            os.close(write)
        self.pid = self._process.pid
        self.since = time.monotonic()
        self.until = 0.0  # when one that was replaced has had its time
        self.silence = 0.0
        self.ready = False

    def poll(self, seconds: float) -> int | None:
        """Take note of its signs of life, `seconds` after the last look; its exit code once it has ended."""
        try:
            heard = bool(os.read(self._pipe, 4096))
        except BlockingIOError:
            heard = False
        self.ready |= heard
        self.silence = 0.0 if heard else self.silence + seconds
        return self._process.poll()

    def is_stuck(self) -> bool:
        """Whether it has been silent for longer than one that runs, or starts, may be."""
        return self.silence > (SILENCE_MAX if self.ready else START_SILENCE_MAX)

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        self._process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within so many seconds."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """Forget one that has ended."""
        os.close(self._pipe)


class PagesChild:
    """The pages process, whichever it is now. Started before the web processes, which inherit its address."""

    def __init__(self, launch: Launch = execute) -> None:
        self._launch = launch
        self._folder: Path | None = None
        self._current: _Process | None = None
        self._next: _Process | None = None  # takes the current one's place once it serves
        self._replaced: list[_Process] = []
        self._backoff, self._again_at, self._looked_at = BACKOFF_MIN, 0.0, time.monotonic()

    @property
    def ready(self) -> bool:
        """Whether the current process has begun to serve."""
        return self._current is not None and self._current.ready

    def start(self) -> None:
        """Start the process; where the kernel gives none (EAGAIN, ENOMEM, EMFILE), supervise() tries it again."""
        if self._folder is None:
            self._folder = _private_folder()
            os.environ[SOCKET_VARIABLE] = self._socket
        self._current = self._started()
        if self._current is None:
            self._put_off(time.monotonic())

    @property
    def _socket(self) -> str:
        return f"{self._folder}/pages.sock"

    def supervise(self) -> None:
        """To be called every second or more often: start again what has ended, kill what is stuck, reap the rest."""
        now = time.monotonic()
        # While we ourselves were held still, no sign of life was missed.
        passed, self._looked_at = min(now - self._looked_at, 1.0), now
        for process in list(self._replaced):
            if now > process.until:
                process.send_signal(signal.SIGKILL)
            if process.poll(passed) is not None:
                process.close()
                self._replaced.remove(process)
        if self._next is not None:
            self._look_at_next(self._next, now, passed)
        if self._current is None:
            if now >= self._again_at:
                self.start()
        elif (code := self._current.poll(passed)) is not None:
            self._restart(self._current, code, now)
        elif self._current.is_stuck():
            logger.error("killing the pages process, which gives no sign of life since %.0f s", self._current.silence)
            self._current.send_signal(signal.SIGKILL)

    def replace(self) -> None:
        """Begin to replace the process; supervise() brings it to an end."""
        if self._current is not None and self._next is None:
            self._next = self._started()  # where there is none, the old one goes on

    def stop(self) -> None:
        """Stop it, and remove its folder; the web processes have ended, so that it has nothing to do."""
        running = [each for each in (self._current, self._next, *self._replaced) if each is not None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        for process in running:
            if not process.wait(max(0.0, until - time.monotonic())):
                process.send_signal(signal.SIGKILL)
                process.wait(STOP_SECONDS)
            process.close()
        self._current, self._next, self._replaced = None, None, []
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _started(self) -> _Process | None:
        try:
            return _Process(self._socket, self._launch)
        except OSError as error:
            logger.error("the pages process could not be started: %s", error.strerror)
            return None

    def _put_off(self, now: float) -> None:
        self._backoff = min(self._backoff * 2, BACKOFF_MAX)
        self._again_at = now + self._backoff

    def _restart(self, ended: _Process, code: int, now: float) -> None:
        logger.error("the pages process ended by itself with code %d", code)
        ended.close()
        if now - ended.since > STABLE_SECONDS:
            self._backoff = BACKOFF_MIN / 2
        self._current = None
        self._put_off(now)

    def _look_at_next(self, process: _Process, now: float, passed: float) -> None:
        ended = process.poll(passed) is not None
        if not ended and process.is_stuck():
            process.send_signal(signal.SIGKILL)
        if ended:
            logger.error("a new pages process did not start; the old one goes on")
            process.close()
            self._next = None
        elif process.ready:
            if (old := self._current) is not None:
                old.until = now + REPLACED_SECONDS
                old.send_signal(signal.SIGTERM)
                self._replaced.append(old)
            self._current, self._next = process, None
            logger.info("a new pages process has taken over")


def _private_folder() -> Path:
    """A new folder that our user alone can enter, with a path short enough for a socket in it."""
    places = (os.environ.get("RUNTIME_DIRECTORY", ""), tempfile.gettempdir(), "/tmp")  # noqa: S108  made by mkdtemp
    for place in filter(None, places):
        folder = Path(tempfile.mkdtemp(prefix="hpns-web-", dir=place))  # 0700
        if len(os.fsencode(folder)) <= PATH_MAX:
            return folder
        folder.rmdir()
    raise OSError("no folder for the socket of the pages process has a path that is short enough: set TMPDIR")
