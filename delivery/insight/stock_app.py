"""Whether the phones of an own app run another app, most likely Mattermost's own from the store.

A token belongs to the app that asked for it: with the keys of another one no push can be sent to it, whoever holds
them. So where no push of an app was ever taken, and each was refused for its token's owner, no change of the key mends
it. Read from the rollups, of the last DAYS at most.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from delivery.outcomes.verdict import Outcome
from delivery.providers.table import OUTCOMES
from delivery.rollups.reading import HOUR, Counted, counted
from tenants import scope
from tenants.models import PushApp
from tenants.providers.table import PROVIDERS

DAY: Final = timedelta(days=1)
DAYS: Final = 30 * DAY
# One phone may have a stale token; so many pushes speak of the app.
FEWEST: Final = 3
SENT: Final = Outcome.SENT.value


class StockApp(NamedTuple):
    """An app whose phones run another one: how many pushes failed by that, since which day (UTC), and what is said of
    it; `codes` are those of the pushes."""

    app: PushApp
    pushes: int
    since: datetime
    codes: tuple[str, ...]
    sentence: str
    advice: str


def detect(app: PushApp, now: datetime) -> StockApp | None:
    """Look at one of the customer's own apps; None where nothing speaks for it. In the customer's scope."""
    return next(iter(_found(now, {app.pk: app})), None)


def detect_all(now: datetime, apps: Iterable[PushApp], taking: frozenset[int] | None = None) -> list[StockApp]:
    """Look at these of the customer's own apps, which are all that are in use. In the customer's scope. taking: those
    that had a push taken in the last day, if they are known already."""
    return _found(now, {app.pk: app for app in apps}, taking)


def _found(now: datetime, apps: Mapping[int, PushApp], taking: frozenset[int] | None = None) -> list[StockApp]:
    """Look at these apps. Nearly each one has had a push taken in the last day, which a thirtieth of the rows tells."""
    if taking is None and apps:
        rows = counted(now - DAY, now, by=("app_id",), unit=HOUR, outcome=SENT, app_id__in=sorted(apps))
        taking = frozenset(row.of["app_id"] for row in rows if row.pushes)
    rest = {pk: app for pk, app in apps.items() if pk not in (taking or ())}
    if not rest:
        return []
    # Then whether any was refused for its token's owner, which needs no sums by day.
    elsewhere = {code for family in {app.family for app in rest.values()} for code in _elsewhere(family)}
    missed = counted(now - DAYS, now, by=("app_id",), app_id__in=sorted(rest), code__in=sorted(elsewhere))
    often = {row.of["app_id"] for row in missed if row.pushes >= FEWEST}
    wanted = [pk for pk in rest if pk in often]
    if not wanted:
        return []
    by = ("app_id", "outcome", "code", "attribution")
    rows = counted(now - DAYS, now, by=by, step=DAY, app_id__in=wanted)
    shared = scope.shared_apps().exists()
    each = (_of(apps[pk], [row for row in rows if row.of["app_id"] == pk], shared=shared) for pk in wanted)
    return [one for one in each if one is not None]


def _elsewhere(family: str) -> frozenset[str]:
    """The codes of pushes whose token is another app's, or another host's."""
    outcomes = OUTCOMES.get(family)
    return frozenset(outcomes.other_app | outcomes.other_host) if outcomes else frozenset()


def _of(app: PushApp, rows: Iterable[Counted], *, shared: bool) -> StockApp | None:
    outcomes = OUTCOMES.get(app.family)
    # What was ours or the provider's fault says nothing about the phones.
    judged = [row for row in rows if row.of["attribution"] in ("customer", "device") or _is_sent(row)]
    if outcomes is None or app.customer_id is None or any(_is_sent(row) for row in judged):
        return None
    missed = [row for row in judged if row.of["code"] in _elsewhere(app.family)]
    pushes = sum(row.pushes for row in missed)
    if pushes < FEWEST or len(missed) < len(judged):
        return None
    codes = tuple(sorted({row.of["code"] for row in missed}))
    since = max(app.created_at, min(row.at for row in missed if row.at is not None))
    sure = bool(set(codes) & outcomes.other_app)
    return StockApp(app, pushes, since, codes, _sentence(app, pushes, since), _advice(app, sure=sure, shared=shared))


def _is_sent(row: Counted) -> bool:
    return bool(row.of["outcome"] == SENT)


def _sentence(app: PushApp, pushes: int, since: datetime) -> str:
    name = PROVIDERS[app.family].name
    return (
        f"All {pushes:,} pushes of app {app.label} that {name} has judged since {since:%-d %b %Y} failed, because "
        f"these phones run another app than {app.topic}: most likely the one from the store, which cannot be served "
        "with other keys than its publisher's."
    )


def _advice(app: PushApp, *, sure: bool, shared: bool) -> str:
    said = [f"Let your users install your app, {app.topic}, and log in there; a new key does not help."]
    if shared:
        said.append("Or ask the operator to switch this app off: then theirs serves the phones that run the store's.")
    said.append(f"If they do run your app, correct what does not fit: {_what_fits(app, sure=sure)}.")
    return " ".join(said)


def _what_fits(app: PushApp, *, sure: bool) -> str:
    if not app.host:
        return "the service account has to be of the project that the app was built with"
    host = "its host at the provider (production or sandbox) has to be the one that it was built for"
    return "its bundle id" if sure else f"its bundle id, and {host}"
