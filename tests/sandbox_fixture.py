"""A provider sandbox for tests: the real process on free ports, with credentials made on the spot, and a small client.

The client speaks the sandbox's HTTP API (delivery/sandbox/api.py). Invariant: the process ends with the context.
"""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import ec

from delivery.sandbox import certificates, demo

ROOT = Path(__file__).resolve().parent.parent
Answers = Sequence[dict[str, Any]]


class SandboxClient:
    """A running sandbox, from the outside.

    origin: https://localhost:PORT (other: the same by its address, to tell hosts apart); page: http://127.0.0.1:PORT;
    ca_file: what to trust; demo: the credentials that it accepts.
    """

    def __init__(self, folder: Path, note: dict[str, Any], made: demo.Demo) -> None:
        """folder: the sandbox's state; note: its sandbox.json."""
        self.folder, self.demo, self.pid = folder, made, int(note["pid"])
        self.port, self.ca_file = int(note["port"]), str(note["ca_file"])
        self.origin, self.other_origin = f"https://localhost:{self.port}", f"https://127.0.0.1:{self.port}"
        self.page = f"http://127.0.0.1:{note['page_port']}"

    def call(self, method: str, path: str, content: object = None) -> Any:
        """One API call; returns the JSON. Raises AssertionError with the sandbox's reason when it refuses."""
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.page + path, body, method=method)  # noqa: S310 - our own address
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=40) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"{method} {path}: {refused.code} {refused.read().decode()}") from refused

    def script(self, marker: str, answers: Answers | dict[str, Any]) -> None:
        """Sets the answers to the 1st, 2nd ... request for tokens with this marker (`oauth:EMAIL`: for its grants)."""
        given = [answers] if isinstance(answers, dict) else list(answers)
        self.call("PUT", "/api/scripts", {"marker": marker, "answers": given})

    def scripts(self, answers_by_marker: dict[str, Answers]) -> None:
        """Sets many scripts at once."""
        many = [{"marker": marker, "answers": list(answers)} for marker, answers in answers_by_marker.items()]
        self.call("PUT", "/api/scripts", many)

    def clear_scripts(self) -> None:
        """Forgets all scripts."""
        self.call("DELETE", "/api/scripts")

    def requests(
        self, marker: str = "", *, provider: str = "", since: int = 0, count: int = 0, wait: float = 30.0
    ) -> list[dict[str, Any]]:
        """What was received for a marker, oldest first; with `count`, waits up to `wait` seconds for so many."""
        query = {"marker": marker, "provider": provider, "since": since, "most": 100_000, "count": count, "wait": wait}
        found: list[dict[str, Any]] = self.call("GET", "/api/requests?" + urlencode(query))["requests"]
        return found

    def state(self) -> dict[str, Any]:
        """Counters, mode, connections."""
        state: dict[str, Any] = self.call("GET", "/api/state")
        return state

    def mode(self, mode: str) -> None:
        """up, down, silent or wrong_certificate."""
        self.call("PUT", "/api/mode", {"mode": mode})

    def settings(self, **settings: Any) -> None:
        """lenient_tokens, limit_token_updates, windows."""
        self.call("PUT", "/api/settings", settings)

    def clear(self) -> None:
        """Forgets requests, counters and scripts."""
        self.call("DELETE", "/api/requests")
        self.clear_scripts()

    def add_certificate(self, topic: str) -> bytes:
        """Accepts a new APNs client certificate for a topic (and its .voip); returns it as PEM with its key."""
        pem = certificates.issue_client(self.folder, topic)
        self._list("apns_certs", {"pem": pem.partition(b"-----BEGIN PRIVATE")[0].decode(), "topics": [topic]})
        return pem

    def add_service_account(self, client_email: str, project: str = demo.PROJECT) -> dict[str, str]:
        """Accepts a new service account; returns its key file's content."""
        account = demo.service_account(client_email, self.origin, project)
        self._list("fcm", demo.listed_account(account))
        return account

    def add_key(self, key_id: str) -> Path:
        """Accepts a new APNs token key of the demo's team for the demo's topics; returns its .p8 file."""
        path = self.folder / f"AuthKey_{key_id}.p8"
        pem = demo.private_pem(ec.generate_private_key(ec.SECP256R1()))
        certificates.write_private(path, pem)
        ids = {"key_id": key_id, "team_id": self.demo.team_id}
        self._list("apns_keys", {**ids, "public_pem": demo.public_pem(pem), "topics": self.demo.topics})
        return path

    def remove_key(self, key_id: str) -> None:
        """Accepts a token key no longer, as if somebody had revoked it."""
        listed = json.loads(self.demo.accounts.read_bytes())
        listed["apns_keys"] = [key for key in listed["apns_keys"] if key["key_id"] != key_id]
        certificates.write_private(self.demo.accounts, json.dumps(listed).encode())

    def _list(self, kind: str, entry: dict[str, Any]) -> None:
        listed = json.loads(self.demo.accounts.read_bytes())
        listed[kind].append(entry)
        certificates.write_private(self.demo.accounts, json.dumps(listed).encode())


@contextmanager
def as_new(client: SandboxClient) -> Iterator[SandboxClient]:
    """Lends a running sandbox with nothing received; whatever is set or listed meanwhile is as before afterwards."""
    client.clear()
    accounts = client.demo.accounts.read_bytes()
    yield client
    client.demo.accounts.write_bytes(accounts)
    client.settings(lenient_tokens=False, limit_token_updates=False, windows={})
    if client.state()["mode"] != "up":
        client.mode("up")


@contextmanager
def running_sandbox(folder: Path, *options: str) -> Iterator[SandboxClient]:
    """Starts a sandbox process in the folder, yields its client when it is ready, and stops it.

    options: more of `python -m delivery.sandbox`'s own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = demo.make(folder / "demo", "https://localhost")
    address_file = folder / "sandbox.json"
    address_file.unlink(missing_ok=True)
    arguments = ["--state", str(folder), "--accounts", str(made.accounts), *options]
    log_file = folder / "sandbox.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "delivery.sandbox", *arguments], cwd=ROOT, stderr=log)
    try:
        until = time.monotonic() + 90
        while not address_file.exists():
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"the sandbox did not start: {log_file.read_text()}")
            time.sleep(0.01)
        client = SandboxClient(folder, json.loads(address_file.read_bytes()), made)
        accounts_as_they_are = made.accounts.read_bytes()
        demo.make(folder / "demo", client.origin)
        assert accounts_as_they_are == made.accounts.read_bytes()
        yield client
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
