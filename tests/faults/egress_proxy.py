"""A small real CONNECT proxy (RFC 9110, 9.3.6) on threads, which remembers what it was asked for and by whom."""

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """user_and_password: who may pass ("" = everybody); targets: the host:port of each CONNECT that it let pass."""

    def __init__(self) -> None:
        self.user_and_password = ""
        self.targets: list[str] = []
        self.refused = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (data := client.recv(4096)):
                return client.close()
            head += data
        wanted = b"Basic " + base64.b64encode(self.user_and_password.encode())
        if self.user_and_password and wanted not in head:
            self.refused += 1
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            return client.close()
        target = head.split()[1].decode()
        self.targets.append(target)
        host, _, port = target.rpartition(":")
        provider = socket.create_connection((host, int(port)), 5)
        provider.settimeout(None)
        self._open.append(provider)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=_pass_on, args=(provider, client), daemon=True).start()
        return _pass_on(client, provider)

    def drop(self) -> None:
        """Break all open connections off."""
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def close(self) -> None:
        """End it."""
        self._listening.close()
        self.drop()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):  # either side has ended
        while data := source.recv(65_536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def running_proxy() -> Iterator[Proxy]:
    """A proxy that lets everybody pass."""
    proxy = Proxy()
    try:
        yield proxy
    finally:
        proxy.close()
