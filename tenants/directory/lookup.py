"""In-memory indexes of the directory: which identity belongs to a key, and which app takes a push.

No I/O, and nothing that can fail: each is one to four dictionary look-ups. The dictionaries are replaced as a whole and
never changed, so that readers need no lock.
"""

import logging
import threading
from collections.abc import Sequence

from tenants.directory.snapshot import AppRow, Identity, Snapshot

log = logging.getLogger(__name__)


class DirectoryError(Exception):
    """The directory could not be loaded, neither from PostgreSQL nor from the copy; the text names both causes."""


class Lookup:
    """Indexes over one snapshot at a time, and the metadata of its age."""

    def __init__(self) -> None:
        self._keys: dict[str, Identity] = {}
        self._own: dict[tuple[int, str], AppRow] = {}
        self._shared: dict[str, AppRow] = {}
        self._own_defaults: dict[tuple[int, str], AppRow] = {}
        self._shared_defaults: dict[str, AppRow] = {}
        # 0 stands for whoever has no key: they may use shared apps only, and own none.
        self._sharers: frozenset[int] = frozenset((0,))
        self._listed: dict[str, list[Identity]] = {}
        self._anonymous: Identity | None = None
        self._unlisted: frozenset[str] = frozenset()
        self._switched_off: frozenset[tuple[int, str]] = frozenset()
        # Of customers, the service's own.
        self.canaries: frozenset[int] = frozenset()
        self._installing = threading.Lock()
        self.read_at = 0.0
        self.version = 0
        self.installed = 0
        self.source = ""
        self.fresh_at = 0.0
        self.problem = "nothing was read yet"

    @property
    def ready(self) -> bool:
        """Whether the directory is loaded.

        More is said by `source` ("postgres", "copy" or ""), `fresh_at` (unix seconds at which it was last known to be
        up to date) and `problem` (plain words; "" when all is well).
        """
        return self.source != ""

    def find(self, prefix: str) -> Identity | None:
        """The identity of the key with this prefix; None when there is no such key. The caller checks the secret."""
        return self._keys.get(prefix)

    def listed(self, server_id: str) -> Sequence[Identity]:
        """The identities that a push without a key and with this server_id may be of; none when none may push by it."""
        return self._listed.get(server_id, ())

    def anonymous(self) -> Identity | None:
        """The identity of all other pushes without a key; None when there is no test service."""
        return self._anonymous

    def is_unlisted(self, server_id: str) -> bool:
        """Whether a server_id is registered, and no push may come by it."""
        return server_id in self._unlisted

    def is_switched_off(self, customer_id: int, label: str) -> bool:
        """Whether an app of this label, its own or a shared one, would take this customer's pushes if it were on."""
        own = (customer_id, label) in self._switched_off and customer_id != 0
        return own or (customer_id in self._sharers and (0, label) in self._switched_off)

    def accepts_keyless(self, test_service: bool) -> bool:
        """Whether a push without a key can be anything but rejected; `test_service`: the setting of this name."""
        return bool(self._listed) or bool(self._unlisted) or (test_service and self._anonymous is not None)

    def route(self, customer_id: int, label: str, family: str) -> AppRow | None:
        """Route a push: the app of this label ("apple_rn") and family ("apns", "fcm", "" for unknown) that takes it.

        In this order: the customer's own app of the label, the shared one, the customer's default for the family, the
        shared default; shared ones only for a customer that may use them, and 0 for a push without a key. None: no app.
        """
        app = self._own.get((customer_id, label))
        if app is not None:
            return app
        shares = customer_id in self._sharers
        if shares and (app := self._shared.get(label)) is not None:
            return app
        app = self._own_defaults.get((customer_id, family))
        if app is None and shares:
            app = self._shared_defaults.get(family)
        return app

    def install(self, fresh: Snapshot, source: str) -> None:
        """Replace the indexes by those of this snapshot; `source` is "postgres" or "copy"."""
        own, own_defaults = {}, {}
        shared, shared_defaults = {}, {}
        for app in fresh.apps:
            if app.customer_id is None:
                shared[app.label] = app
                if app.is_default:
                    shared_defaults[app.family] = app
            else:
                own[app.customer_id, app.label] = app
                if app.is_default:
                    own_defaults[app.customer_id, app.family] = app
        with self._installing:
            self._keys, self._sharers = fresh.keys, frozenset((0, *fresh.sharers))
            self._listed, self._anonymous = fresh.listed, next(iter(fresh.anonymous), None)
            self._unlisted, self._switched_off = frozenset(fresh.unlisted), frozenset(fresh.switched_off)
            self._own, self._own_defaults = own, own_defaults
            self.canaries = frozenset(fresh.canaries)
            self._shared, self._shared_defaults = shared, shared_defaults
            if source != self.source:
                log.info("the directory comes from %s: %d keys, %d apps", source, len(fresh.keys), len(fresh.apps))
            self.version, self.read_at, self.source = fresh.version, fresh.read_at, source
            self.installed += 1
