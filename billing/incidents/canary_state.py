"""The last canary as all processes see it, in Valkey: for health and metrics, which ask no database."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

Ask = Callable[..., Awaitable[Any]]
"""Sends a command to Valkey and returns its reply, as RESP2 has it. Raises ConnectionError."""

# A hash: by provider's family (and pages) the minute, whether it was good, and why not.
LAST: Final = "canary:last"
# Seconds from the beginning of a minute until the next one's canary is surely there; and some minutes more, for a
# worker that is replaced.
MISSING: Final = 240


class Last(NamedTuple):
    """at: when its minute began, unix seconds."""

    at: int
    good: bool
    why: str


_decode = msgspec.json.Decoder(Last).decode


def encode(at: datetime, *, good: bool, why: str) -> bytes:
    """A value of the hash."""
    return msgspec.json.encode(Last(int(at.timestamp()), good, why))


def decode(found: Mapping[bytes, bytes]) -> dict[str, Last]:
    """The hash; what another version wrote is left out."""
    known = {}
    for family, value in found.items():
        try:
            known[family.decode()] = _decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return known


async def look(ask: Ask) -> tuple[dict[str, Last], int]:
    """The last canaries, and the time by Valkey's clock. Raises ConnectionError."""
    found, (now, _) = await asyncio.gather(ask("HGETALL", LAST), ask("TIME"))
    return decode(dict(zip(found[::2], found[1::2], strict=True))), int(now)


def describe(last: Mapping[str, Last], now: int) -> str:
    """What is amiss with the canary, in plain words; "" for nothing, and where none was ever set up."""
    if not last:
        return ""
    age = now - max(each.at for each in last.values())
    if age > MISSING:
        return f"the canary has been missing for {age // 60} min: does the timetable run?"
    failing = [f"{family}: {each.why}" for family, each in sorted(last.items()) if not each.good]
    return f"the last canary failed ({'; '.join(failing)})" if failing else ""
