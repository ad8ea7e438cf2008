"""A customer's servers and apps, each read once for a page and handed on to all that names them. In its scope.

inventory = Inventory()                    # nothing is read yet
inventory.servers[pk].name
inventory.apps, inventory.shared_apps      # its own, and the operator's that it may use
"""

import uuid
from datetime import datetime
from functools import cached_property
from typing import Final, NamedTuple

from tenants import scope
from tenants.models import PushApp, Server
from tenants.prepared import Prepared


class ServerName(NamedTuple):
    """What pages call a server by, whether it is the one of pushes without a key, and whether it is in use."""

    pk: int
    name: str
    public_id: uuid.UUID
    anonymous: bool
    disabled_at: datetime | None = None
    removed_at: datetime | None = None


_SERVERS: Final = Prepared(lambda: Server.objects.order_by("name").values_list(*ServerName._fields))
_APPS: Final = Prepared(lambda: PushApp.objects.order_by("label"))
_SHARED_APPS: Final = Prepared(scope.shared_apps)


class Inventory:
    """The servers and apps of the customer in whose scope they are asked for first; what changes later is not seen."""

    @cached_property
    def servers(self) -> dict[int, ServerName]:
        """All of them by their id, in the order of their names; removed ones, too, for the log has pushes of theirs."""
        return {row[0]: ServerName(*row) for row in _SERVERS.rows()}

    @cached_property
    def own_servers(self) -> list[ServerName]:
        """Those that have keys and are there, in the order of their names."""
        return [row for row in self.servers.values() if not row.anonymous and row.removed_at is None]

    @property
    def servers_in_use(self) -> list[ServerName]:
        """Those of them that are not switched off."""
        return [row for row in self.own_servers if row.disabled_at is None]

    @cached_property
    def apps(self) -> list[PushApp]:
        """The customer's own, in the order of their labels."""
        return _APPS.rows()

    @cached_property
    def enabled_apps(self) -> list[PushApp]:
        """Those of them that are in use."""
        return [app for app in self.apps if app.enabled]

    @cached_property
    def shared_apps(self) -> list[PushApp]:
        """The operator's that the customer may use."""
        return _SHARED_APPS.rows()
