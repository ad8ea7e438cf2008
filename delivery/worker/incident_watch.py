"""Whose fault a refused credential is: its owner's, or its provider's where that refuses many customers' at once.

What is looked at is the fuse for credentials (refusal_incidents.py), by pushes that are refused, at most once in
LOOK_INTERVAL seconds; no other push costs anything. The pushes of the first seconds, before anybody can know, are put
down to the credential's owner, and corrected in the log (incident_corrections.py). Invariant: a look holds up no push.
"""

import asyncio
from functools import partial
from typing import Any, Final

from delivery.outcomes import judge
from delivery.outcomes.verdict import Verdict
from delivery.queue import valkey
from delivery.worker import refusal_incidents
from tenants.providers.table import PROVIDERS

# Seconds between two looks at one provider.
LOOK_INTERVAL: Final = 1.0


class IncidentWatch:
    """What one process knows of providers that refuse everybody, on its loop."""

    def __init__(self, link: valkey.Link, loop: asyncio.AbstractEventLoop) -> None:
        self._link, self._loop = link, loop
        self._refusing: set[str] = set()
        self._looked_at: dict[str, float] = {}

    def attributed(self, verdict: Verdict, family: str, *, shared: bool) -> Verdict:
        """The verdict on a push of an app at the provider of this family, as whose fault it is."""
        if not verdict.is_key_fault or verdict.attribution != "customer":
            return judge.attributed(verdict, shared)
        now = self._loop.time()
        if now >= self._looked_at.get(family, 0.0) + LOOK_INTERVAL:
            self._looked_at[family] = now
            self._link.execute("EXISTS", refusal_incidents.since_key(family)).add_done_callback(
                partial(self._on_look, family)
            )
        if family in self._refusing:
            return judge.by_provider(verdict, PROVIDERS[family].name)
        return judge.attributed(verdict, shared)

    def _on_look(self, family: str, reply: "asyncio.Future[Any]") -> None:
        if not reply.cancelled() and reply.exception() is None and reply.result() == 1:
            self._refusing.add(family)
        else:
            self._refusing.discard(family)
