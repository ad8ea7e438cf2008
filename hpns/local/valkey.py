"""The embedded Valkey: its configuration and its address.

Invariant: what it has accepted is in its append-only file within a second, and it refuses writes rather than forget
something when memory ends: the queue lives in it.
"""

import redis

from hpns.local import wheels
from hpns.local.folder import Folder, private
from hpns.local.process import Spec

# Bytes of a Unix socket's path, with the zero at its end.
SOCKET_MOST = 108


class Valkey:
    """One Valkey in a state folder; `fast` keeps everything in memory only (tests)."""

    def __init__(self, folder: Folder, password: str, *, fast: bool = False) -> None:
        self._folder = folder
        self._password = password
        self._fast = fast
        self._port = folder.port("valkey")

    @property
    def url(self) -> str:
        """The REDIS_URL of the service."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    @property
    def socket(self) -> str:
        """The REDIS_SOCKET of the service; "" where its path would be too long for one (unix(7))."""
        path = str(self._folder.servers / "valkey" / "valkey.sock")
        return path if len(path.encode()) < SOCKET_MOST else ""

    def spec(self) -> Spec:
        """Write the configuration; returns the Spec that starts the server. Raises ProblemError."""
        account = self._folder.account
        home = self._folder.servers / "valkey"
        home.mkdir(mode=0o700, exist_ok=True)
        account.own(home)
        # In a file and not in the command line, which everybody on the machine can read.
        private(home / "valkey.conf", self._configuration(), account)
        return Spec(
            name="valkey",
            command=[wheels.valkey(self._folder), home / "valkey.conf"],
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            log=self._folder.logs / "valkey.log",
            cwd=self._folder.servers,
            account=account,
            ready=self._answers,
        )

    def _configuration(self) -> str:
        home = self._folder.servers / "valkey"
        lines = [
            f"port {self._port}",
            "bind 127.0.0.1",
            *([f'unixsocket "{self.socket}"', "unixsocketperm 700"] if self.socket else []),
            f'dir "{home}"',
            f"requirepass {self._password}",
            f"appendonly {'no' if self._fast else 'yes'}",
            "appendfsync everysec",
            # A file that a crash cut short loses its torn tail only, instead of not starting at all.
            "aof-load-truncated yes",
            'save ""',
            "maxmemory-policy noeviction",
        ]
        return "\n".join(lines) + "\n"

    def _answers(self) -> bool:
        client = redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2)
        try:
            return bool(client.ping())
        except redis.exceptions.RedisError:  # refused, or BusyLoadingError while it reads its file
            return False
        finally:
            client.close()
