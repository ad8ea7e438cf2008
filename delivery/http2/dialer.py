"""The dials of one channel, one after the other and each in its turn (backoff.py), and what its peer says between them.

Invariant: every dial ends within DIAL_SECONDS, and each that comes to nothing is counted once, against the channel
where its credential may be the reason, else against the origin.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from delivery.http2 import frames
from delivery.http2.addresses import DialError
from delivery.http2.backoff import Backoff, turn
from delivery.http2.connection import Connection
from delivery.http2.dial import Endpoint, Progress
from delivery.outcomes.transport import TransportFault

log = logging.getLogger(__name__)

DIAL_SECONDS: Final = 10.0
"""For the name, TCP, the proxy and TLS together; beyond every request's deadline, so only a dial that nobody waits for
any more comes to it."""
NOTICE_SECONDS: Final = 1.0
"""Of what a peer says at the end of connections, one line is logged in so long."""
_SILENT_PROXY: Final = DialError(TransportFault.PROXY, "the proxy has not answered in time")


class Dialer:
    """Opens connections for one channel.

    origin and channel are the back-offs that its dials pass; patient says whether requests wait for another dial after
    one has failed; caution is how many requests the last connection took before it disowned others (None: they may be
    many), and so many at once the next one gets until it has answered more: else all that wait would be sent to each
    connection of a peer that takes few, and be disowned again.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, endpoint: Endpoint, origin: Backoff, *, patient: bool = True
    ) -> None:
        """endpoint: where to; origin: shared by all channels that lead there."""
        self.origin, self.channel, self.patient = origin, Backoff(), patient
        self.caution: int | None = None
        self.refusals = endpoint.refusals
        self._loop, self._endpoint = loop, endpoint
        self._logged_at = -NOTICE_SECONDS
        self._unlogged = 0
        self._dials: set[Progress] = set()

    async def open(self, make: Callable[[], Connection], on_begin: Callable[[], None]) -> Connection:
        """Wait for the turn and open one connection; on_begin() is called between the two. Raises DialError.

        A credential that was turned down raises the same again, without a dial, while the channel pauses for it.
        """
        now = time.monotonic()
        refusal = self.channel.error(now)
        if refusal is not None and refusal.fault == TransportFault.CREDENTIAL and self.channel.delay(now):
            raise DialError(refusal.fault, str(refusal))
        await turn(self.origin, self.channel)
        on_begin()
        progress = Progress()
        self._dials.add(progress)
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                connection = await self._endpoint.open(self._loop, make, progress)
        except DialError as error:
            self._failed(error)
            raise
        except (TimeoutError, asyncio.CancelledError) as error:  # given up; the second by those that waited for it
            given_up = _SILENT_PROXY if progress.at_proxy else DialError(TransportFault.TIMEOUT_CONNECT, "")
            self._failed(given_up)
            if isinstance(error, TimeoutError):
                raise given_up from error
            raise
        except Exception as error:  # noqa: BLE001  its text is not logged: it may quote the proxy's password
            log.error("opening a connection failed with an unexpected %s", type(error).__name__)
            unexpected = DialError(TransportFault.CONNECT, type(error).__name__)
            self._failed(unexpected)
            raise unexpected from None
        finally:
            self._dials.discard(progress)
        self.origin.succeeded()
        return connection

    def _failed(self, error: DialError) -> None:
        """Count a failed dial. With a client certificate, whatever comes after TCP may be about that one alone."""
        of_the_way = (TransportFault.DNS, TransportFault.CONNECT, TransportFault.PROXY)
        own = error.fault == TransportFault.CREDENTIAL or (
            self._endpoint.shows_certificate and error.fault not in of_the_way
        )
        (self.channel if own else self.origin).failed(error)

    def reason(self) -> DialError | None:
        """Return why no connection is there, as far as it is known from the dials and connections before."""
        now = time.monotonic()
        longest_first = sorted((self.origin, self.channel), key=lambda one: one.delay(now), reverse=True)
        known = next((error for one in longest_first if (error := one.error(now)) is not None), None)
        if known is None and any(dial.at_proxy for dial in self._dials):
            return _SILENT_PROXY
        return known

    def log_notice(self, error_code: int, text: str) -> None:
        """Log what the peer has said, no more than a line in NOTICE_SECONDS."""
        now = time.monotonic()
        if now - self._logged_at < NOTICE_SECONDS:
            self._unlogged += 1
            return
        more = f" (and {self._unlogged} more since the last line)" if self._unlogged else ""
        self._logged_at, self._unlogged = now, 0
        level = logging.INFO if error_code == frames.NO_ERROR else logging.WARNING
        log.log(level, "%s has sent %s%s", self._endpoint.host, text, more)
