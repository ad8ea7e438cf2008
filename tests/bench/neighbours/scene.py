"""What a flood has to work with: the running service and its cast, the files of requests, and what makes load."""

import contextlib
import json
import os
import secrets
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from hpns.local.problem import ProblemError
from hpns.local.process import bound_to_parent
from tests.bench import processes
from tests.bench.neighbours import load, raw_http
from tests.bench.neighbours.quiet import Seen
from tests.bench.neighbours.seeding import Cast
from tests.bench.service import ROOT, Service

MARGIN: Final = 150
"""Seconds that a load would go on after the quiet customer is done, if it were not ended."""
CSRF: Final = "c" * 32


class Skip(Exception):
    """A flood that cannot be made here; the text says why."""


class Running:
    """A load that runs; stop() ends it and returns what it said of itself."""

    def __init__(self, command: Sequence[object], env: Mapping[str, str], *, says_ready: bool) -> None:
        """says_ready: whether it prints READY."""
        self._wrk, self._ready = not says_ready, False
        self._said: dict[str, Any] | None = None
        self._process = subprocess.Popen(
            list(map(str, command)),
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=bound_to_parent(9),  # type: ignore[arg-type]  # noqa: PLW1509 - no threads here
        )

    def wait_until_ready(self, seconds: float) -> bool:
        """Whether it is at full force within some seconds."""
        assert self._process.stdout is not None
        if self._wrk:
            time.sleep(1)
            return True
        if self._ready:
            return True
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            if select.select([self._process.stdout], [], [], 0.2)[0]:
                self._ready = self._process.stdout.readline() == b"READY\n"
                return self._ready
        return False

    def stop(self) -> dict[str, Any]:
        """End it; what it has counted."""
        if self._said is not None:
            return self._said
        self._process.send_signal(signal.SIGINT if self._wrk else signal.SIGTERM)
        return self._counted(b"", 20)

    def go(self) -> dict[str, Any]:
        """Let it begin, and wait until it is done; what it has counted."""
        return self._counted(b"\n", 120)

    def _counted(self, said: bytes, seconds: float) -> dict[str, Any]:
        output = b""
        try:
            output, _ = self._process.communicate(said, timeout=seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, _ = self._process.communicate()
        try:
            self._said = dict(json.loads(output.splitlines()[-1]))
        except (ValueError, IndexError):
            self._said = {"said": output.decode(errors="replace")[-300:], "code": self._process.returncode}
        return self._said


def seen_by(running: Running) -> Seen:
    """What the quiet customer sees from now on. Raises ProblemError."""
    said = running.go() if running.wait_until_ready(120) else running.stop()
    try:
        return msgspec.convert(said, Seen)
    except msgspec.ValidationError as error:
        raise ProblemError(f"The quiet customer broke off: {said}") from error


class Scene:
    """See the module."""

    def __init__(self, folder: Path, service: Service, cast: Cast, wrk: str, ca_file: Path, seconds: float) -> None:
        """folder: for the files; seconds: how long the quiet customer is watched."""
        self.folder, self.service, self.cast = folder, service, cast
        self.ca_file, self.seconds = str(ca_file), seconds
        self._wrk = wrk
        folder.mkdir(exist_ok=True)

    # --- Requests

    def push(self, key: str, **members: Any) -> bytes:
        """A push under a key, with members beside or in place of an ordinary one's."""
        line = (self.folder.parent / "bodies" / "apns.jsonl").read_bytes().splitlines()[0]
        fields = {**json.loads(line), **members, "ack_id": raw_http.ACK.decode()}
        body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
        return raw_http.post(f"/t/{key}/api/v1/send_push", body)

    def page(self, path: str) -> bytes:
        """A GET of a page, without a login."""
        return raw_http.get(path, host=self.host)

    def form(self, path: str, session: str, fields: Mapping[str, str], file: tuple[str, bytes] | None = None) -> bytes:
        """A POST of a form by somebody who is logged in; file: its name and content, for the field `file`."""
        boundary = secrets.token_hex(12)
        parts = [
            f'name="{name}"\r\n\r\n{value}'.encode() for name, value in {"csrfmiddlewaretoken": CSRF, **fields}.items()
        ]
        if file is not None:
            parts.append(b'name="file"; filename="%b"\r\n\r\n%b' % (file[0].encode(), file[1]))
        opening = f"--{boundary}\r\nContent-Disposition: form-data; ".encode()
        body = b"".join(opening + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
        return raw_http.post(
            path,
            body,
            f"Content-Type: multipart/form-data; boundary={boundary}",
            f"Cookie: csrftoken={CSRF}; sessionid={session}",
            host=self.host,
        )

    @property
    def host(self) -> str:
        """The host of the pages."""
        return f"127.0.0.1:{self.service.port}"

    def require(self, path: str, session: str) -> None:
        """Raise Skip unless somebody who is logged in gets this page."""
        request = raw_http.get(path, f"Cookie: sessionid={session}", host=self.host)
        if (word := raw_http.asked(self.service.port, request, 10)) != "200":
            raise Skip(f"GET {path} is answered {word}")

    # --- Load

    def closed(self, connections: int, request: bytes) -> Running:
        """As many connections, each sends the next request when the last one was answered; by wrk."""
        command = [
            *(self._wrk, "--threads", "1", "--connections", str(connections), "--timeout", "30s"),
            *("--duration", f"{self.seconds + MARGIN:.0f}s", "--script", Path(__file__).with_name("request.lua")),
            f"http://{self.host}",
        ]
        return Running(command, {"REQUEST": str(self._file(request)), "RUN": secrets.token_hex(7)}, says_ready=False)

    def load(self, kind: str, connections: int, request: bytes = b"", **order: Any) -> Running:
        """A load of load.py's kinds, by default on the plain port."""
        given = {
            "kind": kind,
            "port": self.service.port,
            "connections": connections,
            "seconds": self.seconds + MARGIN,
            "request": str(self._file(request)) if request else "",
            **order,
        }
        path = self._file(msgspec.json.encode(msgspec.convert(given, load.Order)))
        return Running([sys.executable, "-m", "tests.bench.neighbours.load", path], {}, says_ready=True)

    def _file(self, content: bytes) -> Path:
        path = self.folder / secrets.token_hex(6)
        path.write_bytes(content)
        return path

    # --- Looking

    def quiet(self, **order: Any) -> Running:
        """The quiet customer; go() lets it begin, result() is what it has seen."""
        given = {
            "port": self.service.port,
            "page_port": self.service.port,
            "prefix": f"/t/{self.cast.quiet.key}",
            "bodies": str(self.folder.parent / "bodies" / "apns.jsonl"),
            "seconds": self.seconds,
            **order,
        }
        return Running([sys.executable, "-m", "tests.bench.neighbours.quiet", json.dumps(given)], {}, says_ready=True)

    def seen(self, **order: Any) -> Seen:
        """What the quiet customer sees now. Raises ProblemError."""
        return seen_by(self.quiet(**order))

    def ingest_pids(self) -> list[int]:
        """The web processes."""
        return processes.tree(processes.look(), self.service.roots()["ingest"])

    def temporary_bytes(self) -> int:
        """Bytes on the disk of files that web processes have open and that have no name."""
        total = 0
        for pid in self.ingest_pids():
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    seen = entry.stat()
                    if stat.S_ISREG(seen.st_mode) and (not seen.st_nlink or os.readlink(entry).startswith("/tmp/")):  # noqa: S108
                        total += seen.st_blocks * 512
        return total
