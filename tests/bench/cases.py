"""What is measured: each case is one kind of load on one kind of provider. Pure.

Invariant: a case's name says everything about it, so that runs of different days can be compared by name.
"""

from fnmatch import fnmatchcase
from typing import Literal

import msgspec

PROVIDERS = ("apns", "fcm")
CONNECTIONS = (1, 64, 256)
SLOW_MS = 100


class Case(msgspec.Struct, frozen=True):
    """One case.

    load: "wrk" = `connections` keep-alive connections that each send the next push when the last one was answered;
    "open" = pushes at `rate` a second whatever comes back, over kept connections; "tls" = the same in small bursts as
    a Mattermost server sends them, over TLS and with at most two idle connections kept. delay_ms: the provider's.
    """

    name: str
    provider: str
    load: Literal["wrk", "open", "tls"]
    connections: int = 0
    delay_ms: int = 0
    rate: int = 0


def catalogue(rate: int, tls_rate: int) -> list[Case]:
    """Every case there is, with these rates (pushes a second) for the open loop and for the TLS front door."""
    cases = []
    for provider in PROVIDERS:
        cases += [Case(f"{provider}-{count}", provider, "wrk", count) for count in CONNECTIONS]
        slow = f"{SLOW_MS}ms"
        cases += [Case(f"{provider}-{count}-{slow}", provider, "wrk", count, SLOW_MS) for count in CONNECTIONS[1:]]
        cases.append(Case(f"{provider}-open-{rate}-{slow}", provider, "open", 0, SLOW_MS, rate))
        cases.append(Case(f"{provider}-tls-{tls_rate}", provider, "tls", 0, 0, tls_rate))
    return cases


def chosen(cases: list[Case], patterns: list[str]) -> list[Case]:
    """Those whose names fit one of the shell patterns, all without any. Raises LookupError for a pattern of none."""
    for pattern in patterns:
        if not any(fnmatchcase(case.name, pattern) for case in cases):
            raise LookupError(f"No case is called {pattern}. There are: {', '.join(case.name for case in cases)}.")
    return [case for case in cases if not patterns or any(fnmatchcase(case.name, pattern) for pattern in patterns)]
