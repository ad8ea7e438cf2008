"""Subscriptions, plans and quotes as the commands print them, in JSON's types."""

from datetime import datetime
from typing import Any

from billing.facts import Standing
from billing.models import PlanVersion
from billing.subscriptions import reading
from billing.subscriptions.plan_changes import Quote
from billing.subscriptions.plans import FIELDS
from billing.subscriptions.reading import Judged
from billing.subscriptions.standing import ahead


def plans() -> list[dict[str, Any]]:
    """All plans with their latest versions."""
    return [
        {
            "plan": row.plan.code,
            "name": row.plan.name,
            "basis": row.plan.basis,
            "offer": row.plan.offer,
            "listed": row.plan.listed,
            "version": row.version,
            **{name: getattr(row, name) for name in FIELDS},
        }
        for row in reading.latest(PlanVersion.objects.select_related("plan"))
    ]


def judged_row(each: Judged) -> dict[str, Any]:
    """A subscription as it stands."""
    row = each.row
    return {
        "id": row.pk,
        "customer": row.customer.slug,
        "plan": row.version.plan.code,
        "version": row.version.version,
        "basis": row.basis,
        "starts_at": _time(row.starts_at),
        "trial_ends_at": _time(row.trial_ends_at),
        "cancel_at": _time(row.cancel_at),
        "override_until": _time(each.subscribed.override_until),
        **_standing(each.standing),
    }


def with_dates(each: Judged, now: datetime) -> dict[str, Any]:
    """The same with what comes if nothing happens."""
    coming = ahead(now, each.subscribed, each.invoices, each.proofs)
    return {**judged_row(each), "ahead": [{"at": _time(at), "state": then.state.value} for at, then in coming]}


def quote(offered: Quote) -> dict[str, Any]:
    """What a change of plan would come to."""
    return {
        "to": offered.version.plan.code,
        "to_version": offered.version.version,
        "starts_anew": offered.starts,
        "unused_minor": offered.unused_minor,
        "due_minor": offered.due_minor,
        "amount_minor": offered.amount_minor,
        "currency": offered.version.currency,
        "period": [_time(at) for at in offered.period] if offered.period else None,
    }


def _standing(found: Standing) -> dict[str, Any]:
    return {
        "state": found.state.value,
        "serves": found.serves,
        "may_grow": found.may_grow,
        "refusal": found.refusal,
        "since": _time(found.since),
        "next_change_at": _time(found.next_change_at),
        "sentence": found.sentence,
        "what_to_do": found.what_to_do,
    }


def _time(value: datetime | None) -> str | None:
    return value.isoformat(timespec="seconds") if value else None
