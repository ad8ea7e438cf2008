"""The whole sandbox: the provider port and the page port on one event loop, and the file that says where they are.

Invariant: `sandbox.json` is in the folder exactly while the sandbox is ready, and is written in one piece, so whoever
waits for the sandbox waits for this file.
"""

import os
import secrets
from pathlib import Path

import msgspec

from delivery.sandbox import certificates
from delivery.sandbox.accounts import Accounts
from delivery.sandbox.api import Api
from delivery.sandbox.connections import Connections
from delivery.sandbox.journal import Journal
from delivery.sandbox.listener import Listener
from delivery.sandbox.pages import Pages
from delivery.sandbox.providers import Providers
from delivery.sandbox.web import Web, WebRequest, WebResponse

ADDRESS_FILE = "sandbox.json"
SECRET = "bearer.key"  # noqa: S105 - a file's name


class Settings(msgspec.Struct, frozen=True):
    """What a sandbox is started with. Ports may be 0: any free one. run_file: where the demo's push address stands."""

    folder: Path
    accounts: Path
    host: str = "127.0.0.1"
    port: int = 0
    page_port: int = 0
    keep: int = 20_000
    lenient_tokens: bool = False
    limit_token_updates: bool = False
    run_file: Path | None = None


class Addresses(msgspec.Struct, frozen=True):
    """Where a running sandbox is."""

    pid: int
    port: int
    page_port: int
    ca_file: str


class Sandbox:
    """A sandbox; `start` it on a running loop, and `stop` it there."""

    def __init__(self, settings: Settings) -> None:
        """Makes the certificates and reads the accounts. Raises OSError or ValueError when that cannot be done."""
        self.settings = settings
        self.ca_file = certificates.ensure(settings.folder)
        self.journal = Journal(settings.keep)
        self.providers = Providers(Accounts(settings.accounts), _secret(settings.folder), self.journal)
        self.providers.lenient_tokens = settings.lenient_tokens
        self.providers.tokens.limit_updates = settings.limit_token_updates
        self.connections = Connections(self.providers)
        self.listener = Listener(settings.host, settings.port, settings.folder, self.connections)
        self.api = Api(self.providers, self.listener)
        self.pages = Pages(self.journal, settings.run_file)
        self.web = Web(self._page)

    async def start(self) -> Addresses:
        """Listens on both ports and writes the file that says so. Raises OSError when a port cannot be had."""
        await self.web.start(self.settings.host, self.settings.page_port)
        await self.listener.set("up")
        addresses = Addresses(os.getpid(), self.listener.port, self.web.port, str(self.ca_file))
        certificates.write_private(self.settings.folder / ADDRESS_FILE, msgspec.json.encode(addresses))
        return addresses

    async def stop(self) -> None:
        """Removes that file and ends all connections."""
        (self.settings.folder / ADDRESS_FILE).unlink(missing_ok=True)
        await self.listener.set("down")
        await self.web.stop()

    async def _page(self, request: WebRequest) -> WebResponse:
        if request.path.startswith("/api/"):
            return await self.api.answer(request)
        return self.pages.answer(request)


def _secret(folder: Path) -> bytes:
    """What signs the bearers: made once per folder."""
    file = folder / SECRET
    if not file.exists():
        certificates.write_private(file, secrets.token_bytes(32))
    return file.read_bytes()
