"""A road to a server that can be closed, for tests of what happens when the server is away."""

import contextlib
import selectors
import socket
import threading
import time


class Relay:
    """A port in front of a server: `refuse` closes it, `hush` takes bytes and answers none, `serve` undoes both.

    `mute`: open connections carry nothing any more, and neither side hears it, as where the network has split. `delay`:
    seconds that whatever comes takes longer, in each direction.
    """

    def __init__(self, host: str, port: int, delay: float = 0.0) -> None:
        self._target, self._delay = (host, port), delay
        self._muted = threading.Event()
        self._kept: list[socket.socket] = []  # of muted connections: the server is not to hear that they are closed
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._open = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.serve()

    def serve(self) -> None:
        if self._listener.fileno() == -1:
            self._listener = socket.create_server(("127.0.0.1", self.port))
        if not self._open.is_set():
            self._open.set()
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def refuse(self) -> None:
        self._open.clear()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone would not wake the accepting thread
        self._listener.close()
        self._drop()

    def hush(self) -> None:
        """Connections are taken by the kernel and stay unanswered, as behind a firewall that drops packets."""
        self._open.clear()
        with socket.create_connection(("127.0.0.1", self.port)):
            pass  # wakes the accepting thread, which sees that it is over
        self._drop()

    def mute(self) -> None:
        """Let what is open carry nothing any more; new connections are served."""
        self._kept += [end for pair in self._pairs for end in pair]
        self._pairs.clear()
        self._muted.set()
        self._muted = threading.Event()

    def close(self) -> None:
        """Close everything, muted connections too."""
        self.refuse()
        for end in self._kept:
            end.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            if not self._open.is_set():
                near.close()
                return
            far = socket.create_connection(self._target)
            self._pairs.append((near, far))
            threading.Thread(target=_pump, args=(near, far, self._muted, self._delay), daemon=True).start()

    def _drop(self) -> None:
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()


def _pump(near: socket.socket, far: socket.socket, muted: threading.Event, delay: float) -> None:
    other = {near: far, far: near}
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as ends:
        for end in other:
            ends.enter_context(end)
            selector.register(end, selectors.EVENT_READ)
        while True:
            ready = selector.select(0.05)
            if muted.is_set():
                ends.pop_all()  # they stay open
                return
            for key, _ in ready:
                end: socket.socket = key.fileobj  # type: ignore[assignment]
                try:
                    data = end.recv(65536)
                    if not data:
                        return
                    time.sleep(delay)
                    other[end].sendall(data)
                except OSError:
                    return
