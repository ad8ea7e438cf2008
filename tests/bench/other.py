"""Another service under test, for alternating windows: started by a command that tells where it is.

The command finds in its environment

    PROVIDER_ORIGIN     where Apple and Google are, for a service that can be told: https://127.0.0.1:PORT
    PROVIDER_LISTEN     "" or where they listen besides (bin/bench --provider-listen): ADDRESS:443, for a service that
                        knows only their own names. That the names lead there is the command's affair (/etc/hosts, or
                        a name space of its own).
    PROVIDER_CA_FILE    the CA of their certificate, which is under their own names and 127.0.0.1. server.pem and
                        server.key beside it will do for the service's own TLS: the load trusts that CA, and asks for
                        localhost.

and prints one line of JSON when a push would go through:

    {"name": "...", "port": 8066, "prefix": "/t/KEY", "processes": {"ingest": [PID, ...], "worker": [PID, ...]}}

Pushes go to prefix + /api/v1/send_push on 127.0.0.1; an answer is 200 with {"status":"OK"}, blanks around it or not,
and says its length. Each process counts with everything below it that is not named itself. May be there, too:

    "tls_port": 8443                      the same with TLS 1.2 or 1.3; without it the service has no TLS cases
    "tls_processes": {"nginx": [PID]}     what a push over TLS passes, where that is not `processes`
    "tls_later": true                     TLS costs something while nobody uses it: SIGUSR1 asks for it, and a second
                                          line of JSON then has tls_port and tls_processes
    "commit": "..."                       what it was built from; picks its marks (tests/bench/marks.py), as "name" does

SIGTERM ends it.
"""

import json
import os
import select
import shlex
import signal
import subprocess
import time
from typing import Any

from hpns.local.problem import ProblemError
from hpns.local.process import bound_to_parent
from tests.bench.provider import Provider

# A checkout may have to install what it needs first.
PATIENCE = 300.0


class Other:
    """A service that somebody else brings."""

    def __init__(self, command: str, provider: Provider) -> None:
        self._command = command
        self._provider = provider
        self._process: subprocess.Popen[bytes] | None = None
        self.name, self.commit, self.port, self.tls_port, self.prefix = "other", "", 0, 0, ""
        self._roots: dict[str, list[int]] = {}
        self._tls_roots: dict[str, list[int]] = {}
        self._tls_later = False

    def start(self) -> None:
        """Start it and read where it is. Raises ProblemError."""
        env = {
            **os.environ,
            "PROVIDER_ORIGIN": self._provider.origin,
            "PROVIDER_LISTEN": self._provider.listen,
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
        self._hear()

    def open_tls(self) -> None:
        """Have it listen with TLS if it can and does not yet. Raises ProblemError."""
        if self._tls_later and self._process is not None:
            self._tls_later = False
            self._process.send_signal(signal.SIGUSR1)
            self._hear()

    def roots(self, *, tls: bool = False) -> dict[str, list[int]]:
        """The process ids of each group. tls: those that a push over TLS passes."""
        return self._tls_roots if tls and self._tls_roots else self._roots

    def stop(self) -> None:
        """End it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _hear(self) -> None:
        """Read a line of what it says of itself; what a second one does not say stays as it was."""
        try:
            said: dict[str, Any] = json.loads(self._line())
            self._roots = _groups(said["processes"]) if "processes" in said or not self._roots else self._roots
            self.name = str(said["name"]) if self.port == 0 else self.name
            self.port = int(said["port"]) if self.port == 0 else self.port
            self.prefix = str(said.get("prefix", self.prefix))
            self.commit = str(said.get("commit", self.commit))
            self.tls_port = int(said.get("tls_port", self.tls_port))
            self._tls_roots = _groups(said.get("tls_processes", {})) or self._tls_roots
            self._tls_later = bool(said.get("tls_later", False))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProblemError(
                f"{self._command} did not say where it is ({error!r}); see tests/bench/other.py."
            ) from None

    def _line(self) -> bytes:
        if self._process is None or self._process.stdout is None:
            raise ValueError("not started")
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            if select.select([self._process.stdout], [], [], 0.5)[0]:
                return self._process.stdout.readline()
        raise ValueError(f"nothing within {PATIENCE:.0f} s")


def _groups(said: Any) -> dict[str, list[int]]:
    return {str(group): [int(pid) for pid in pids] for group, pids in said.items()}
