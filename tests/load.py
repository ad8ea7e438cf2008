"""Load for the tests that count: many servers' connections at once, each push with an ack_id of its own."""

import http.client
import json
import secrets
import threading
import time
from typing import Any

from tests.stage import Stage, a_push


class Load:
    """`connections` threads push until stop() or until `most` pushes were begun; answers by ack_id."""

    def __init__(self, stage: Stage, *, connections: int = 16, most: int = 1_000_000, **members: Any) -> None:
        self.stage, self.members = stage, members
        self.name = f"load-{secrets.token_hex(3)}"  # begins each ack_id of this load
        self.answers: dict[str, dict[str, str]] = {}
        self.seconds: dict[str, float] = {}
        self.broken: list[str] = []  # pushes whose connection broke: no answer was given
        self._remaining = most
        self._stopping = False
        self._pause = 0.0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(connections)]
        for thread in self._threads:
            thread.start()

    def _take(self) -> bool:
        with self._lock:
            self._remaining -= 1
            return self._remaining >= 0 and not self._stopping

    def _run(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.stage.port, timeout=30)
        count = 0
        while self._take():
            count += 1
            ack_id = f"{self.name}-{number}-{count}"
            push = a_push(ack_id=ack_id, **self.members)
            started = time.monotonic()
            try:
                connection.request("POST", f"/t/{self.stage.key}/api/v1/send_push", json.dumps(push).encode())
                body = connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                self.broken.append(ack_id)
                connection.close()
                time.sleep(0.05)
                continue
            self.seconds[ack_id] = time.monotonic() - started
            self.answers[ack_id] = json.loads(body)
            time.sleep(self._pause)
        connection.close()

    def ease(self) -> None:
        """From here on each connection leaves a while between its pushes: others have work for the processor, too."""
        self._pause = 0.1

    def wait(self) -> None:
        """Wait until every thread has had its last answer."""
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads), "some pushes were never answered"

    def stop(self) -> None:
        """Begin no more pushes, and wait for the answers to the others."""
        self._stopping = True
        self.wait()

    def with_status(self, status: str) -> set[str]:
        """The ack_ids that were answered with this status."""
        return {ack_id for ack_id, answer in self.answers.items() if answer["status"] == status}
