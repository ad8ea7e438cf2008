"""bin/run as a process of a test."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from hpns.local.folder import free

ROOT = Path(__file__).resolve().parent.parent.parent.parent
WAIT = 90.0


def free_port() -> int:
    """A port by chance, as the next free one is what other tests of this machine would take at the same moment."""
    while not free(port := random.choice(range(30_000, 32_000))):  # noqa: S311 - not a secret
        pass
    return port


class Run:
    """A bin/run on one state folder and port, which can be started more than once."""

    def __init__(self, state: Path, *options: str) -> None:
        self.state, self.options, self.port = state, options, free_port()
        self._log = state.with_suffix(".out")

    def start(self) -> dict[str, Any]:
        """Start it and wait for run.json; what stands there."""
        command = [sys.executable, "-m", "hpns.local.run", "--state", str(self.state), "--port", str(self.port)]
        names = (
            "DATABASE_URL",
            "PAGES_DATABASE_URL",
            "WORKER_DATABASE_URL",
            "DIRECTORY_DATABASE_URL",
            "REDIS_URL",
            "REDIS_SOCKET",
            "DJANGO_SETTINGS_MODULE",
        )
        environment = {
            name: value for name, value in os.environ.items() if name not in (*names, "DJANGO_SETTINGS_MODULE")
        }
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, *self.options], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        limit = time.monotonic() + WAIT
        while not (self.state / "run.json").exists():
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < limit, self.output()
            time.sleep(0.1)
        return dict(json.loads((self.state / "run.json").read_text()))

    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text()

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT)


def open_url(url: str, data: bytes | None = None) -> tuple[int, str]:
    """Ask for an address, without any proxy; the status and the text. Raises HTTPError."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, data, timeout=WAIT) as answer:
        return answer.status, answer.read().decode()


def status_of(url: str) -> int:
    """The status of an address, whatever it is."""
    try:
        return open_url(url)[0]
    except urllib.error.HTTPError as error:
        return error.code
