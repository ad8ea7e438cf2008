"""Bounds what forged signatures of pushes cost, by the network that they come from."""

import time
from collections.abc import Callable
from typing import Final

# Signatures of one network that do not verify, of a second; and networks of which there are any.
FORGERIES_MAX: Final = 20
FORGERS_MAX: Final = 500
# Networks that are remembered for a signature that did verify: what many others do takes nothing from them.
SIGNERS_MAX: Final = 4_096


class Forgeries:
    """Signatures that did not verify, by network: each costs as much as a push, and past some nobody looks at more."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counted: dict[str, int] = {}
        self._signers: dict[str, None] = {}
        self._since = 0.0

    def exceeded(self, network: str) -> bool:
        """Whether too many have come from a network in this second, or from too many networks; only the former of one
        that true signatures came from."""
        now = self._clock()
        if now - self._since >= 1:
            self._since = now
            self._counted.clear()
        if self._counted.get(network, 0) >= FORGERIES_MAX:
            return True
        return len(self._counted) >= FORGERS_MAX and network not in self._signers

    def verified(self, network: str) -> None:
        """Remember where a true signature came from."""
        if network not in self._signers:
            if len(self._signers) >= SIGNERS_MAX:
                del self._signers[next(iter(self._signers))]
            self._signers[network] = None

    def count(self, network: str) -> None:
        """Count one."""
        self._counted[network] = self._counted.get(network, 0) + 1
