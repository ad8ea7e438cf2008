"""What is measured: each case is one kind of load on one kind of provider. Pure.

Invariant: a case's name says everything about it, so that runs of different days can be compared by name.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final, Literal

import msgspec

PROVIDERS = ("apns", "fcm")
CONNECTIONS = (1, 64, 256)
SLOW_MS = 100
RATES: Final = (50, 200, 600, 1200)
"""Pushes a second of the open loops: from one quiet server to dozens."""
IDLE: Final = "idle"
SETS: Final[Mapping[str, Sequence[str]]] = {
    "busy": [f"{provider}-{count}" for count in CONNECTIONS for provider in PROVIDERS],
    "quiet": [IDLE, "apns-open-*", "fcm-open-600-*", "apns-tls-*"],
}
"""Names for several cases at once: the closed loops, and what a service does for most of its life."""


class Case(msgspec.Struct, frozen=True):
    """One case.

    load: "wrk" = `connections` keep-alive connections that each send the next push when the last one was answered;
    "open" = pushes at `rate` a second whatever comes back, over kept connections; "tls" = the same in small bursts as
    a Mattermost server sends them, over TLS and with at most two idle connections kept; "idle" = nothing at all, of
    every service at the same time. delay_ms: the provider's.
    """

    name: str
    provider: str
    load: Literal["wrk", "open", "tls", "idle"]
    connections: int = 0
    delay_ms: int = 0
    rate: int = 0


def catalogue(rates: Sequence[int] = RATES, tls_rate: int = 100) -> list[Case]:
    """Every case there is, with these rates (pushes a second) for the open loops and for the TLS front door.

    Idle comes first, before any load has left its traces; TLS last, because its front door is one more process.
    """
    slow = f"{SLOW_MS}ms"
    cases, tls = [Case(IDLE, "", "idle")], []
    for provider in PROVIDERS:
        cases += [Case(f"{provider}-{count}", provider, "wrk", count) for count in CONNECTIONS]
        cases += [Case(f"{provider}-{count}-{slow}", provider, "wrk", count, SLOW_MS) for count in CONNECTIONS[1:]]
        cases += [Case(f"{provider}-open-{rate}-{slow}", provider, "open", 0, SLOW_MS, rate) for rate in rates]
        tls += [
            Case(f"{provider}-tls-{tls_rate}", provider, "tls", 0, 0, tls_rate),
            Case(f"{provider}-tls-{tls_rate}-{slow}", provider, "tls", 0, SLOW_MS, tls_rate),
        ]
    return cases + tls


def chosen(cases: list[Case], patterns: Sequence[str]) -> list[Case]:
    """Those whose names fit one of the shell patterns or names of SETS, all without any.

    Raises LookupError for a pattern of none.
    """
    wanted = [one for pattern in patterns for one in SETS.get(pattern, [pattern])]
    for pattern in wanted:
        if not any(fnmatchcase(case.name, pattern) for case in cases):
            raise LookupError(f"No case is called {pattern}. There are: {', '.join(case.name for case in cases)}.")
    return [case for case in cases if not wanted or any(fnmatchcase(case.name, pattern) for pattern in wanted)]
