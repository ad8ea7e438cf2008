"""Another address of the providers: hands connections on to 127.0.0.1, as long as it is open, and cuts them then."""

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self


class Forwarder:
    """address: where it listens; port: on which port; to: the one that it hands on to, the same if none is named. It is
    on a thread of its own."""

    def __init__(self, address: str, port: int, to: int = 0) -> None:
        self.address, self._port, self._to = address, port, to or port
        self._loop = asyncio.new_event_loop()
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the other address cannot be had"
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        open_ends: set[asyncio.StreamWriter] = set()

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65_536):
                    sink.write(data)
                    await sink.drain()
            sink.close()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            open_ends.add(writer)
            with contextlib.suppress(OSError):
                far_reader, far = await asyncio.open_connection("127.0.0.1", self._to)
                open_ends.add(far)
                await asyncio.gather(copy(reader, far), copy(far_reader, writer))
                open_ends.discard(far)
            writer.close()  # where nobody listens, too
            open_ends.discard(writer)

        server = await asyncio.start_server(connected, self.address, self._port)
        self._ready.set()
        await self._stop.wait()
        server.close()
        for writer in open_ends:
            writer.transport.abort()
        await asyncio.sleep(0.1)
