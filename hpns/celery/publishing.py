"""kombu's Redis transport for who only publishes: the messages of transport.py without what takes them.

The timetable uses it (hpns/beat.py), and so imports none of what a worker is made of.
"""

from typing import Final

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis

SCHEMES: Final = ("valkey", "valkeys")


class Channel(kombu_redis.Channel):  # type: ignore[misc]
    """A kombu channel of our messages."""

    # JSON stands in the envelope as it is: base64 would cost a third more bytes at each hop.
    body_encoding = None


class Transport(kombu_redis.Transport):  # type: ignore[misc]
    """The transport as Celery loads it by its name (TRANSPORT_ALIASES)."""

    Channel = Channel


def only() -> None:
    """Have this process publish, and take nothing."""
    for scheme in SCHEMES:
        TRANSPORT_ALIASES[scheme] = "hpns.celery.publishing:Transport"
