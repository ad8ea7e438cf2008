"""Another service under test, for alternating windows: started by a command that tells where it is.

The command gets PROVIDER_ORIGIN and PROVIDER_CA_FILE in its environment and prints one line of JSON when it serves:

    {"name": "...", "port": 8066, "prefix": "/t/KEY", "processes": {"ingest": [PID, ...], "worker": [PID, ...]}}

Pushes go to prefix + /api/v1/send_push on 127.0.0.1; each process counts with everything below it. SIGTERM ends it.
"""

import json
import os
import select
import shlex
import signal
import subprocess
import time

from hpns.local.problem import ProblemError
from hpns.local.process import bound_to_parent
from tests.bench.provider import Provider

PATIENCE = 120.0


class Other:
    """A service that somebody else brings."""

    tls_port = 0

    def __init__(self, command: str, provider: Provider) -> None:
        self._command = command
        self._provider = provider
        self._process: subprocess.Popen[bytes] | None = None
        self.name, self.port, self.prefix = "other", 0, ""
        self._roots: dict[str, list[int]] = {}

    def start(self) -> None:
        """Start it and read where it is. Raises ProblemError."""
        env = {
            **os.environ,
            "PROVIDER_ORIGIN": self._provider.origin,
            "PROVIDER_CA_FILE": str(self._provider.ca_file),
        }
        try:
            self._process = subprocess.Popen(
                shlex.split(self._command),
                env=env,
                stdout=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=bound_to_parent(signal.SIGTERM),  # noqa: PLW1509 - no threads here
            )
        except OSError as error:
            raise ProblemError(f"Cannot start {self._command}: {error.strerror}.") from error
        try:
            started = json.loads(self._line())
            self.name, self.port = str(started["name"]), int(started["port"])
            self.prefix = str(started.get("prefix", ""))
            self._roots = {str(group): [int(pid) for pid in pids] for group, pids in started["processes"].items()}
        except (ValueError, KeyError, TypeError) as error:
            raise ProblemError(
                f"{self._command} did not say where it is ({error!r}); see tests/bench/other.py."
            ) from None

    def roots(self, *, tls: bool = False) -> dict[str, list[int]]:
        """The process ids of each group."""
        return self._roots

    def stop(self) -> None:
        """End it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _line(self) -> bytes:
        if self._process is None or self._process.stdout is None:
            raise ValueError("not started")
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            if select.select([self._process.stdout], [], [], 0.5)[0]:
                return self._process.stdout.readline()
        raise ValueError(f"nothing within {PATIENCE:.0f} s")
