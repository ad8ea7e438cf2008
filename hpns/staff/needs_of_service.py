"""What of the service itself needs somebody of the staff: incidents, the canary, rounds that fail, ledgers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from billing.incidents import canary_state
from billing.models import PAGES, CanaryMinute, Incident, RoundFailure, Subscription
from billing.sla import breaks, keys
from delivery.insight import pausing, refusing, standstill
from hpns.staff.need import BAD, Need, address, first, midnight, number_of
from tenants.models import Customer

MINUTE: Final = timedelta(minutes=1)


def incidents(_now: datetime) -> Iterator[Need]:
    """Incidents that go on."""
    rows = Incident.objects.filter(resolved_at=None, published_at__isnull=False)
    if count := rows.count():
        url = address("billing_incident_changelist", resolved_at__isempty=1, published_at__isempty=0)
        yield Need(
            "incidents",
            BAD,
            count,
            f"{number_of(count, 'incident is', 'incidents are')} open.",
            first(rows, "started_at"),
            url,
        )


def canary(now: datetime) -> Iterator[Need]:
    """A canary that is missing, or failed."""
    if not Customer.objects.filter(canary=True).exists():
        return
    url = address("billing_canaryminute_changelist")
    last = CanaryMinute.objects.exclude(family=PAGES).order_by("-at").first()
    if last is None:
        yield Need("canary", BAD, 1, "The canary has never run: is CANARY_DEVICES set?", None, url)
    elif now - last.at > timedelta(seconds=canary_state.MISSING):
        minutes = int((now - last.at) / MINUTE)
        words = f"The canary has been missing for {minutes:,} min: does the timetable run?"
        yield Need("canary", BAD, minutes, words, last.at, url)
    else:
        failed = CanaryMinute.objects.filter(at=last.at, good=False)
        why = "; ".join(f"{row.family}: {row.why}" for row in failed.order_by("family"))
        if why:
            yield Need("canary", BAD, len(failed), f"The last canary failed ({why}).", last.at, url)


def still_timetable(_now: datetime) -> Iterator[Need]:
    """A timetable that sends nothing, also where there is no canary to miss."""
    since = standstill.timetable_since()
    if since is not None:
        words = (
            f"The timetable has sent nothing since {since:%d %B, %H:%M} UTC: no SLA day is sealed, no month closed, no "
            "mail sent. Start it (hpns.beat), and it catches up by itself."
        )
        yield Need("timetable", BAD, 1, words, since, address("billing_roundfailure_changelist"))
    elif late := standstill.overdue_tasks():
        words = f"{late}. The workers' logs say why; if it hangs, start its worker anew."
        yield Need("timetable", BAD, 1, words, None, address("billing_roundfailure_changelist"))


def failures(_now: datetime) -> Iterator[Need]:
    """What rounds could not do for a customer."""
    rows = RoundFailure.objects.all()
    if count := rows.count():
        words = f"{number_of(count, 'thing', 'things')} could not be done for a customer by the timetable."
        url = address("billing_roundfailure_changelist")
        yield Need("round_failures", BAD, count, words, first(rows, "first_at"), url)


def ledgers(now: datetime) -> Iterator[Need]:
    """That nothing is measured though it was promised; ledgers whose chain is broken."""
    if keys.first_made_at() is None:
        running = Subscription.objects.filter(version__sla=True).exclude(cancel_at__lte=now)
        if promised := running.values("customer_id").distinct().count():
            who = number_of(promised, "customer is", "customers are")
            words = f"{who} promised the SLA, and nothing is measured: make its key by `manage.py sla key new`."
            yield Need("sla_key", BAD, promised, words, first(running, "starts_at"), address("boards-sla"))
    rows = breaks.all_broken()
    if count := rows.count():
        words = (
            f"{number_of(count, 'SLA ledger has a broken chain', 'SLA ledgers have broken chains')}: no day is "
            "sealed, and nothing new can be proven. Begin each anew, by the list's action."
        )
        since = midnight(min(breaks.broke_on(row) for row in rows))
        yield Need("sla_ledgers", BAD, count, words, since, address("billing_slaledger_changelist", chain="broken"))


def refusing_providers(_now: datetime) -> Iterator[Need]:
    """Providers that refuse the credentials of many customers at once."""
    found = refusing.incidents()
    if found:
        since = datetime.fromtimestamp(min(each.since for each in found), UTC)
        sentence = " ".join(refusing.sentences(with_counts=True))
        yield Need("refusing_providers", BAD, len(found), sentence, since, address("boards-providers"))


def paused_credentials(_now: datetime) -> Iterator[Need]:
    """Credentials with which nothing is sent, because no answers come."""
    found = pausing.breakers()
    if found:
        who = number_of(len(found), "credential is", "credentials are")
        words = f"{who} paused, because nobody answers at the provider."
        url = f"{address('boards-providers')}#breakers"
        yield Need("paused_credentials", BAD, len(found), words, pausing.since(found[0]), url)
