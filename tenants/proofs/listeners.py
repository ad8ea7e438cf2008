"""Who else wants to know of a server's site, and knows of its licence: billing, which this layer cannot import.

Before anybody is wired no server is licensed, and nobody listens.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from tenants.models import Server, Site

Licensed = Callable[[Server, str], bool]
"""Whether there is a licence for a server of this server_id."""
Read = Callable[[Site, datetime], None]
"""What is to be done when a site's documents were read."""
_licensed: Final[list[Licensed]] = []
_read: Final[list[Read]] = []


def wire(*, licensed: Licensed, read: Read) -> None:
    """Say who knows and who listens, at the start of a process; the last word counts."""
    _licensed[:], _read[:] = [licensed], [read]


def is_licensed(server: Server, mattermost_id: str) -> bool:
    """Whether whoever knows says so."""
    return any(ask(server, mattermost_id) for ask in _licensed)


def site_read(site: Site, now: datetime) -> None:
    """Tell whoever listens; in the caller's scope."""
    for tell in _read:
        tell(site, now)
