"""Routing: finds the app and the credential for a push, by its platform. From memory; nothing here waits.

A push's platform only picks among the apps that its customer may use. Invariant: a route is never guessed; without an
app or a readable credential the push is refused with a text that says what to add.
"""

import logging
import time

import msgspec

from delivery.outcomes import judge
from delivery.outcomes.verdict import Verdict
from delivery.protocol import policy
from delivery.providers.base import SIGNS_NOT, Target
from delivery.providers.table import PROVIDERS
from delivery.queue import shared_clock
from tenants import vault
from tenants.credentials import sealing, uploads
from tenants.directory.live import DIRECTORY, Directory
from tenants.directory.snapshot import AppRow
from tenants.providers.table import family_of

logger = logging.getLogger(__name__)

# Characters of an unknown label that are shown: no app's has more, and a stranger's may be as long as a body.
SHOWN = 64
# Seconds after which an opened credential that no push has asked for is forgotten: its customer may be gone.
FORGET_SECONDS = 1800.0
# Seconds after which a credential is tried again that was refused here and is current still: that was its provider's
# incident, or nobody could write it down.
FALLEN_BACK_SECONDS = 900.0


class Route(msgspec.Struct, gc=False, frozen=True):
    """Where pushes of one customer and platform go. Without a target, `refusal` says why and `label` names the app.

    `spare` is the app as its other credential signs for it; Routes.spare() opens that when it is needed.
    """

    label: str
    version: int
    app_id: int | None
    shared: bool
    target: Target | None
    refusal: Verdict | None
    spare: AppRow | None = None


class Routes:
    """Routes by (customer, platform), made at first use and forgotten whenever the directory changes."""

    def __init__(self, directory: Directory = DIRECTORY) -> None:
        self.directory = directory
        self._known: dict[tuple[int, str], Route] = {}
        # What was asked for since, and what was asked for in the time before.
        self._targets: dict[tuple[int, int], Target] = {}
        self._earlier: dict[tuple[int, int], Target] = {}
        self._since = time.monotonic()
        self._version: tuple[int, float] = (-1, 0.0)
        # By app: the credential that was refused, and when, until the directory has another one in its place.
        self._refused: dict[int, tuple[int, float]] = {}

    def find(self, customer_id: int, platform: str) -> Route:
        """The route of a push; total."""
        self.refresh()
        return self.known(customer_id, platform)

    def refresh(self) -> None:
        """Forget what the directory has changed since. Call it before known(), once for many pushes."""
        version = (self.directory.version, self.directory.fresh_at)
        if version != self._version:
            self._known.clear()
            self._version = version
            if time.monotonic() - self._since > FORGET_SECONDS:
                self._earlier, self._targets, self._since = self._targets, {}, time.monotonic()

    def known(self, customer_id: int, platform: str) -> Route:
        """The route of a push, as it was at the last refresh; total."""
        route = self._known.get((customer_id, platform))
        if route is None:
            route = self._make(customer_id, platform)
            # Strangers choose the platform; they must not fill the memory.
            if len(self._known) < 10_000 and len(platform) <= policy.LONGEST_PLATFORM:
                self._known[customer_id, platform] = route
        return route

    def spare(self, route: Route) -> Target | None:
        """The target that signs with the app's other credential; None when there is none that opens."""
        app = route.spare
        if app is None:
            return None
        try:
            return self._target(app)
        except vault.VaultError as error:
            logger.error("the credential %d of the app %d cannot be opened: %s", app.credential_id, app.app_id, error)
            return None

    def fall_back(self, app_id: int, credential_id: int) -> None:
        """Let the spare sign for the app from now on, because this credential was refused and the spare was not."""
        self._refused[app_id] = (credential_id, shared_clock.now())
        self._known.clear()

    def _make(self, customer_id: int, platform: str) -> Route:
        label, version = policy.app_label(platform)
        app = self.directory.route(customer_id, label, family_of(label))
        if app is None:
            code = "app_switched_off" if self.directory.is_switched_off(customer_id, label) else "no_app"
            return Route(label[:SHOWN], version, None, False, None, judge.refusal(code))
        shared = app.customer_id is None
        if not app.credential_id:
            refusal = judge.attributed(judge.refusal("no_credential"), shared)
            return Route(app.label, version, app.app_id, shared, None, refusal)
        spare = _by_spare(app)
        refused, refused_at = self._refused.get(app.app_id, (None, 0.0))
        if refused is not None and shared_clock.now() - refused_at > FALLEN_BACK_SECONDS:
            del self._refused[app.app_id]
            refused = None
        if refused == app.credential_id and spare is not None:
            app, spare = msgspec.structs.replace(spare, signs_since=refused_at), None
        elif refused is not None and refused != app.credential_id:
            del self._refused[app.app_id]  # the directory has heard of it
        try:
            target = self._target(app)
        except vault.VaultError as error:
            logger.error("the credential %d of the app %d cannot be opened: %s", app.credential_id, app.app_id, error)
            return Route(app.label, version, app.app_id, shared, None, judge.refusal("credential_unreadable"))
        return Route(app.label, version, app.app_id, shared, target, None, spare)

    def _target(self, app: AppRow) -> Target:
        key = (app.app_id, app.credential_id)
        target = self._targets.get(key) or self._earlier.get(key)
        if target is None or (target.topic, target.origin) != (app.topic, _origin(app)):
            target = target_of(app)
        elif target.signs_since != app.signs_since:
            target = msgspec.structs.replace(target, signs_since=app.signs_since)
        self._targets[key] = target
        return target


def target_of(app: AppRow) -> Target:
    """What the senders need of an app and its credential. Raises vault.VaultError when that cannot be opened."""
    secret = sealing.secret(app)
    return Target(
        app_id=app.app_id,
        family=app.family,
        topic=app.topic,
        project=PROVIDERS[app.family].project(app.kind, secret),
        origin=_origin(app),
        credential_id=app.credential_id,
        kind=app.kind,
        secret=secret,
        signs_since=app.signs_since,
    )


def _by_spare(app: AppRow) -> AppRow | None:
    spare = app.spare
    if spare is None:
        return None
    return msgspec.structs.replace(
        app,
        credential_id=spare.credential_id,
        kind=spare.kind,
        sealed=spare.sealed,
        spare=None,
        signs_since=SIGNS_NOT,
    )


def _origin(app: AppRow) -> str:
    return PROVIDERS[app.family].origin(app.host, uploads.setting)
