"""Ordinary pushes beside those that providers fail: a few failures among many answers, as in a service's life.

Most failures of the recordings come together, and by themselves would open the circuit breaker of their credential
(delivery/worker/breaker.py), whereas each exchange is to be judged for itself.
"""

import asyncio
import itertools
import json
from collections.abc import Sequence
from typing import Any, Final

from tests.stage import a_push
from tests.vectors.http1 import Answer, Connection, request

# Connections that they come by, seconds between two of one's, and what their devices' tokens begin with: of each app
# that recordings fail often, for each credential has a circuit breaker of its own.
CONNECTIONS: Final = 8
PAUSE: Final = 0.02
TOKENS: Final = {"apple_rn-v2": "c0ffee" * 6, "apple": "c0ffee" * 6, "android_rn-v2": "company:", "android": "company:"}


class Company:
    """Pushes to both providers' apps in turn; keep() sends them."""

    def __init__(self, port: int, key: str) -> None:
        """port: of the service on this machine; key: of the server that they come from."""
        self.answers: list[Answer] = []
        self._port, self._path = port, f"/t/{key}/api/v1/send_push"
        self._pushes = enumerate(itertools.cycle(TOKENS))

    async def keep(self) -> None:
        """Send them, until cancelled."""
        await asyncio.gather(*(self._send(Connection(self._port)) for _ in range(CONNECTIONS)))

    async def _send(self, connection: Connection) -> None:
        for number, platform in self._pushes:
            body = json.dumps(a_push(platform=platform, device_id=f"{TOKENS[platform]}{number:028x}")).encode()
            headers = [("Host", "127.0.0.1"), ("Content-Length", str(len(body)))]
            sending = asyncio.ensure_future(connection.send(request("POST", self._path, headers, body)))
            try:
                self.answers.append(await asyncio.shield(sending))
            except asyncio.CancelledError:  # what is on its way is counted, too
                self.answers.append(await sending)
                await connection.close()
                raise
            await asyncio.sleep(PAUSE)

    def apart(self, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of a provider's requests that are not for these pushes."""
        return [one for one in requests if not one["token"].startswith(tuple(TOKENS.values()))]
