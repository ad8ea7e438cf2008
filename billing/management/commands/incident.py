"""`manage.py incident list | publish | update`."""

from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from billing.incidents import announcing
from billing.incidents.components import NAMES
from billing.models import Incident, IncidentUpdate
from tenants.management.subcommands import Option, SubcommandsCommand, subcommand
from tenants.problem import ProblemError

_TEXT: Final = Option("--text", "what is said of it, on the status page and by mail", required=True)
TITLE_MAX: Final = 160


class Command(SubcommandsCommand):
    """Incidents of the status page."""

    help = "List incidents, publish one and its updates, and say that it is over."

    @subcommand("List incidents, the latest first.", Option("--open", "those that last", kind="switch"))
    def list_(self, *, open: bool) -> list[dict[str, Any]]:  # noqa: A002  the option's name
        """Print them."""
        rows = Incident.objects.prefetch_related("updates")
        return [_row(row) for row in (rows.filter(resolved_at=None) if open else rows)]

    @subcommand(
        "Publish an incident, and mail it to subscribers.",
        Option("--title", "what is wrong, in a few words", required=True),
        Option("--concerns", f"what of the service, with commas between: {', '.join(NAMES)}", required=True),
        Option("--impact", "how bad it is", choices=Incident.Impact.values, required=True),
        _TEXT,
    )
    def publish(self, *, title: str, concerns: str, impact: str, text: str) -> dict[str, Any]:
        """Print it."""
        now, components = timezone.now(), [each.strip() for each in concerns.split(",")]
        unknown = [each for each in components if each not in NAMES]
        if unknown or not title.strip() or len(title) > TITLE_MAX:
            raise ProblemError(
                f"there is no {unknown[0][:30]!r} among {', '.join(NAMES)}"
                if unknown
                else f"say what is wrong, in at most {TITLE_MAX} characters"
            )
        with transaction.atomic():
            row = Incident.objects.create(title=title.strip(), components=components, impact=impact, started_at=now)
            return _said(row, text, now)

    @subcommand(
        "Say more of an incident, and mail it to subscribers.",
        Option("--number", "its id in `incident list`", kind="number", required=True),
        _TEXT,
        Option("--resolved", "it is over", kind="switch"),
    )
    def update(self, *, number: int, text: str, resolved: bool) -> dict[str, Any]:
        """Print it."""
        now = timezone.now()
        with transaction.atomic():
            row = Incident.objects.select_for_update().filter(pk=number).first()
            if row is None:
                raise ProblemError(f"there is no incident {number}: see `incident list`")
            if resolved and row.resolved_at is None:
                row.resolved_at = now
                row.save(update_fields=("resolved_at",))
            return _said(row, text, now)


def _said(row: Incident, text: str, now: datetime) -> dict[str, Any]:
    if not text.strip():
        raise ProblemError("write what is to be said")
    IncidentUpdate.objects.create(incident=row, at=now, text=text.strip())
    return _row(announcing.publish_incident(incident=row, now=now))


def _row(row: Incident) -> dict[str, Any]:
    return {
        "number": row.pk,
        "title": row.title,
        "concerns": row.components,
        "impact": row.impact,
        "started_at": row.started_at.isoformat(timespec="seconds"),
        "resolved_at": row.resolved_at.isoformat(timespec="seconds") if row.resolved_at else None,
        "published": row.published_at is not None,
        "updates": [each.text for each in row.updates.all()],
    }
