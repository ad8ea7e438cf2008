"""The stand-in for Apple and Google: one nginx that takes every push, looks at none and counts.

The sandbox checks and remembers what it gets and would cost more than the service; this one is for measuring only.
Invariant: the count covers exactly the requests that reached it; looking at it is not counted.
"""

import http.client
import re
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from delivery.sandbox import certificates
from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.logs import end_of
from hpns.local.problem import ProblemError
from hpns.local.process import Child, Spec, descendants

TEMPLATE = Path(__file__).with_name("provider.conf.in")


class Provider:
    """One nginx. start() it, then set_delay() before each case."""

    def __init__(self, folder: Folder, programs: Mapping[str, str], listen: str = "") -> None:
        """listen: "" or ADDRESS:PORT where it listens besides, for a service that knows only the providers' names."""
        self.listen = listen
        self.home = folder.path / "provider"
        self.home.mkdir(mode=0o711, exist_ok=True)
        for_servers().own(self.home)
        self._ca_file = certificates.ensure(folder.path / "certificates")
        self.port = folder.port("provider")
        self._status_port = folder.port("provider count")
        self._programs = programs
        self._log = folder.logs / "provider.log"
        self._looks = 0
        self._delay_ms = 0
        self._child: Child | None = None

    @property
    def origin(self) -> str:
        """Where Apple and Google are, for the services under test."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The CA of its certificate."""
        return self._ca_file

    @property
    def roots(self) -> list[int]:
        """Its process ids."""
        return [self._child.pid] if self._child else []

    def start(self) -> None:
        """Start answering at once. Raises ProblemError."""
        self._write()
        command: list[str | Path] = [
            self._programs["nginx"],
            "-e",
            "stderr",
            "-p",
            self.home,
            "-c",
            self.home / "nginx.conf",
        ]
        self._log.unlink(missing_ok=True)
        self._child = Child(Spec(name="nginx", command=command, env={}, log=self._log))
        limit = time.monotonic() + 10
        while True:
            try:
                self._read()
                return
            except OSError:
                if self._child.poll() is not None or time.monotonic() > limit:
                    raise ProblemError(f"nginx does not start: {end_of(self._log)}") from None
                time.sleep(0.05)

    def set_delay(self, milliseconds: int) -> None:
        """Hold every answer to a push back for so long from now on; open connections are ended in good order."""
        if milliseconds == self._delay_ms or self._child is None:
            return
        self._delay_ms = milliseconds
        self._write()
        before = descendants(self._child.pid)
        self._child.signal_group(signal.SIGHUP)
        limit = time.monotonic() + 15
        while not (now := descendants(self._child.pid)) or set(now) & set(before):
            if time.monotonic() > limit:
                raise ProblemError(f"nginx did not take its new configuration: {end_of(self._log)}")
            time.sleep(0.05)

    def count(self) -> int:
        """Requests so far, pushes and the few for access tokens."""
        total = self._read()
        return total - self._looks

    def stop(self) -> None:
        """End it."""
        if self._child is not None:
            self._child.kill()

    def _read(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._status_port, timeout=5)
        try:
            connection.request("GET", "/count")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        self._looks += 1
        found = re.search(r"^ *\d+ +\d+ +(\d+) *$", text, re.MULTILINE)
        if found is None:
            raise ProblemError(f"nginx's count cannot be read: {text}")
        return int(found[1])

    def _write(self) -> None:
        certificate = self._ca_file.with_name("server.pem")
        values = {
            "MODULE": self._programs["echo"],
            "FOLDER": str(self.home),
            "PORT": str(self.port),
            "BESIDES": f"listen {self.listen} ssl http2 backlog=2048;" if self.listen else "",
            "STATUS_PORT": str(self._status_port),
            "CERTIFICATE": str(certificate),
            "KEY": str(certificate.with_suffix(".key")),
            "PAUSE": f"echo_sleep {self._delay_ms / 1000:.3f};" if self._delay_ms else "",
            "TOKEN": "b" * 200,  # as long as Google's
        }
        text = TEMPLATE.read_text(encoding="utf-8")
        text = re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], text)
        (self.home / "nginx.conf").write_text(text, encoding="utf-8")
