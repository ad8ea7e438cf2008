"""In-memory indexes of the directory: which identity belongs to a key, and which app takes a push.

No I/O, and nothing that can fail: each is one to four dictionary look-ups. Readers need no lock: what is of one look-up
changes by one assignment, and only the thread that reads the directory makes any.
"""

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tenants.directory.snapshot import AppRow, Identity, Part, RemoveHoldRow, Snapshot

log = logging.getLogger(__name__)


class DirectoryError(Exception):
    """The directory could not be loaded, neither from PostgreSQL nor from the copy; the text names both causes."""


class Apps(NamedTuple):
    """The apps of one owner: by label, and the default of each family."""

    by_label: dict[str, AppRow]
    defaults: dict[str, AppRow]


_NONE = Apps({}, {})


class Lookup:
    """Indexes over a snapshot and the parts that have changed since, and the metadata of its age."""

    def __init__(self) -> None:
        self._keys: dict[str, Identity] = {}
        # By customer; the shared ones have none.
        self._apps: dict[int | None, Apps] = {}
        # 0 stands for whoever has no key: they may use shared apps only, and own none.
        self._sharers: set[int] = {0}
        self._listed: dict[str, list[Identity]] = {}
        self._anonymous: Identity | None = None
        # By customer (0: the shared ones): labels of apps that are switched off, and registered server_ids.
        self._switched_off: dict[int, frozenset[str]] = {}
        self._registered: dict[int, frozenset[str]] = {}
        # How many customers have registered it.
        self._registrations: Counter[str] = Counter()
        # By customer and credential.
        self._remove_holds: dict[tuple[int, int], RemoveHoldRow] = {}
        # What is taken away with a customer: prefixes of its keys, and server_ids.
        self._prefixes_of: dict[int, tuple[str, ...]] = {}
        self._listed_of: dict[int, set[str]] = {}
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

    def is_trial(self, customer_id: int) -> bool:
        """Whether a customer's pushes are the free test service's, however they come; each of its keys says so."""
        known: list[Identity | None] = [self._keys.get(each) for each in self._prefixes_of.get(customer_id, ())[:1]]
        if not known:
            names = tuple(self._listed_of.get(customer_id, ()))  # at once: others come and go meanwhile
            known = [self._anonymous, *(each for name in names[:1] for each in self._listed.get(name, ()))]
        return any(each is not None and each.customer_id == customer_id and each.trial for each in known)

    def is_unlisted(self, server_id: str) -> bool:
        """Whether a server_id is registered, and no push may come by it."""
        return server_id in self._registrations and server_id not in self._listed

    def is_switched_off(self, customer_id: int, label: str) -> bool:
        """Whether an app of this label, its own or a shared one, would take this customer's pushes if it were on."""
        own = customer_id != 0 and label in self._switched_off.get(customer_id, ())
        return own or (customer_id in self._sharers and label in self._switched_off.get(0, ()))

    def remove_hold(self, customer_id: int, credential_id: int) -> RemoveHoldRow | None:
        """What has been said of removing this customer's devices of this credential; None: nothing."""
        return self._remove_holds.get((customer_id, credential_id))

    def accepts_keyless(self, test_service: bool) -> bool:
        """Whether a push without a key can be anything but rejected for that; `test_service`: the setting's value."""
        return bool(self._listed) or bool(self._registrations) or (test_service and self._anonymous is not None)

    def route(self, customer_id: int, label: str, family: str) -> AppRow | None:
        """Route a push: the app of this label ("apple_rn") and family ("apns", "fcm", "" for unknown) that takes it.

        In this order: the customer's own app of the label, the shared one, the customer's default for the family, the
        shared default; shared ones only for a customer that may use them, and 0 for a push without a key. None: no app.
        """
        own = self._apps.get(customer_id, _NONE)
        app = own.by_label.get(label)
        if app is not None:
            return app
        shared = self._apps.get(None, _NONE) if customer_id in self._sharers else _NONE
        if (app := shared.by_label.get(label)) is not None:
            return app
        app = own.defaults.get(family)
        return shared.defaults.get(family) if app is None else app

    def contents(self) -> Snapshot:
        """All that is known, as a snapshot again."""
        return Snapshot(
            version=self.version,
            read_at=self.read_at,
            keys=self._keys,
            apps=[app for each in self._apps.values() for app in each.by_label.values()],
            sharers=sorted(self._sharers - {0}),
            listed=self._listed,
            anonymous=[] if self._anonymous is None else [self._anonymous],
            canaries=sorted(self.canaries),
            switched_off=_pairs(self._switched_off),
            registered=_pairs(self._registered),
            remove_holds=list(self._remove_holds.values()),
        )

    def knows(self, customer_id: int) -> bool:
        """Whether there is a key or an app of this customer."""
        return customer_id in self._prefixes_of or customer_id in self._apps

    def listed_ids(self, customers: Iterable[int]) -> set[str]:
        """The server_ids that these customers are listed under."""
        return set().union(*(self._listed_of.get(each, ()) for each in customers))

    def install(self, fresh: Snapshot, source: str) -> None:
        """Replace the indexes by those of this snapshot; `source` is "postgres" or "copy"."""
        with self._installing:
            self._keys, self._sharers = fresh.keys, {0, *fresh.sharers}
            self._listed, self._anonymous = fresh.listed, next(iter(fresh.anonymous), None)
            self._apps = _by_owner(fresh.apps)
            self._prefixes_of = _by_customer(fresh.keys)
            self._listed_of = {}
            self._list_of(fresh.listed)
            self._switched_off, self._registered = (
                _names_by_owner(fresh.switched_off),
                _names_by_owner(fresh.registered),
            )
            self._registrations = Counter(name for names in self._registered.values() for name in names)
            self.canaries = frozenset(fresh.canaries)
            self._remove_holds = _by_pair(fresh.remove_holds)
            if source != self.source:
                log.info("the directory comes from %s: %d keys, %d apps", source, len(fresh.keys), len(fresh.apps))
            self.version, self.read_at, self.source = fresh.version, fresh.read_at, source
            self.installed += 1

    def apply(self, part: Part) -> bool:
        """Take what has changed into the indexes; whether anything is other than it was."""
        with self._installing:
            changed = self._apply_keys(part)
            owners = {each or None for each in part.customers}
            apps = _by_owner(part.apps)
            for owner in owners:
                there = apps.get(owner)
                if self._apps.get(owner) != there:
                    changed = True
                    if there is None:
                        del self._apps[owner]
                    else:
                        self._apps[owner] = there
            changed |= self._apply_listed(part)
            changed |= self._apply_names(part)
            changed |= self._apply_holds(part)
            sharers, anonymous = set(part.sharers), next(iter(part.anonymous), None)
            changed |= (self._sharers & set(part.customers) - {0}) != sharers or anonymous != self._anonymous
            self._sharers |= sharers
            self._sharers -= set(part.customers) - sharers - {0}
            self._anonymous = anonymous
            self.canaries = self.canaries - set(part.customers) | set(part.canaries)
            self.version, self.read_at = part.version, part.read_at
            self.installed += changed
        return changed

    def _apply_keys(self, part: Part) -> bool:
        changed = False
        for prefix, identity in part.keys.items():
            if self._keys.get(prefix) != identity:
                self._keys[prefix], changed = identity, True
        fresh = _by_customer(part.keys)
        for customer_id in part.customers:
            now = fresh.pop(customer_id, ())
            for prefix in set(self._prefixes_of.pop(customer_id, ())).difference(now):
                # It may be of another customer's server by now.
                if self._keys[prefix].customer_id == customer_id:
                    del self._keys[prefix]
                    changed = True
            if now:
                self._prefixes_of[customer_id] = now
        for customer_id, more in fresh.items():
            there = self._prefixes_of.get(customer_id, ())
            self._prefixes_of[customer_id] = (*there, *(each for each in more if each not in there))
        return changed

    def _apply_listed(self, part: Part) -> bool:
        changed = False
        for mattermost_id, candidates in part.listed.items():
            before = self._listed.get(mattermost_id, [])
            if before == candidates:
                continue
            changed = True
            for each in before:
                self._listed_of[each.customer_id].discard(mattermost_id)
            if candidates:
                self._listed[mattermost_id] = candidates
                self._list_of({mattermost_id: candidates})
            else:
                del self._listed[mattermost_id]
        return changed

    def _apply_names(self, part: Part) -> bool:
        """What is said of refusals."""
        changed = False
        off, registered = _names_by_owner(part.switched_off), _names_by_owner(part.registered)
        for owner in part.customers:
            changed |= self._switched_off.pop(owner, frozenset()) != off.get(owner, frozenset())
            before, now = self._registered.pop(owner, frozenset()), registered.get(owner, frozenset())
            changed |= before != now
            self._registrations.update(now - before)
            for name in before - now:
                if self._registrations[name] > 1:
                    self._registrations[name] -= 1
                else:
                    del self._registrations[name]
        self._switched_off.update(off)
        self._registered.update(registered)
        return changed

    def _apply_holds(self, part: Part) -> bool:
        others = {pair: row for pair, row in self._remove_holds.items() if pair[0] not in part.customers}
        before, self._remove_holds = self._remove_holds, others | _by_pair(part.remove_holds)
        return before != self._remove_holds

    def _list_of(self, listed: dict[str, list[Identity]]) -> None:
        for mattermost_id, candidates in listed.items():
            for each in candidates:
                self._listed_of.setdefault(each.customer_id, set()).add(mattermost_id)


def _by_owner(apps: Iterable[AppRow]) -> dict[int | None, Apps]:
    found: dict[int | None, Apps] = {}
    for app in apps:
        of_owner = found.setdefault(app.customer_id, Apps({}, {}))
        of_owner.by_label[app.label] = app
        if app.is_default:
            of_owner.defaults[app.family] = app
    return found


def _by_pair(rows: Iterable[RemoveHoldRow]) -> dict[tuple[int, int], RemoveHoldRow]:
    return {(row.customer_id, row.credential_id): row for row in rows}


def _by_customer(keys: dict[str, Identity]) -> dict[int, tuple[str, ...]]:
    found: defaultdict[int, list[str]] = defaultdict(list)
    for prefix, identity in keys.items():
        found[identity.customer_id].append(prefix)
    return {customer_id: tuple(prefixes) for customer_id, prefixes in found.items()}


def _names_by_owner(pairs: Iterable[tuple[int, str]]) -> dict[int, frozenset[str]]:
    found: defaultdict[int, set[str]] = defaultdict(set)
    for owner, name in pairs:
        found[owner].add(name)
    return {owner: frozenset(names) for owner, names in found.items()}


def _pairs(names: dict[int, frozenset[str]]) -> list[tuple[int, str]]:
    return [(owner, name) for owner, each in names.items() for name in each]
