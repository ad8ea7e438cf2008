"""Who pushes in the tests of limits, through one process and another."""

from typing import Any

from delivery.ingest.limits import Allowance, LimitExceeded, Limits
from delivery.protocol.wire import Push
from tenants.directory.snapshot import Identity, Limit
from tests.delivery.links import answered

HASH_KEY = b"h" * 32
# So slow that what comes back while a test runs is next to nothing.
SLOW = Limit(1, 50)
# The members of a wipe, beside those of every push.
WIPE: dict[str, Any] = {"type": "session", "cont_ava": 1}


def identity(key_id: int = 3, server_id: int = 2, customer_id: int = 1, **members: Any) -> Identity:
    """Acme's server, with a key; `server` and `customer` are limits."""
    return Identity(key_id, server_id, customer_id, active=True, rejection_code="", digest=b"", **members)


def listed(**members: Any) -> Identity:
    """The same server by its server_id."""
    return identity(0, **members)


def stranger(**members: Any) -> Identity:
    """Whoever has no key."""
    return identity(0, 9, 8, anonymous=True, trial=True, **members)


def admit(process: Limits, who: Identity, source: str = "", **members: Any) -> Allowance | LimitExceeded:
    """What comes of one push."""
    return process.admit(who, Push(**{"type": "message", "device_id": "d", **members}), source)


def admitted(process: Limits, who: Identity, source: str = "", **members: Any) -> Allowance:
    """The allowance of a push that is within its limits."""
    allowance = admit(process, who, source, **members)
    assert isinstance(allowance, Allowance), allowance
    return allowance


def exceeded(process: Limits, who: Identity, source: str = "", **members: Any) -> str:
    """The reason that a push is over a limit; "" for one that is within."""
    result = admit(process, who, source, **members)
    return result.reason if isinstance(result, LimitExceeded) else ""


async def settled(*processes: Limits) -> None:
    """Wait until no lease is on its way."""
    await answered(*(bucket for process in processes for bucket in process._buckets.values()))


async def flood(process: Limits, who: Identity, count: int = 500, **members: Any) -> tuple[int, str]:
    """Push so many times; how many were admitted, and the reason that the last other was not."""
    passed, reason = 0, ""
    for _ in range(count):
        over = exceeded(process, who, **members)
        passed += not over
        reason = over or reason
        await settled(process)
    return passed, reason
