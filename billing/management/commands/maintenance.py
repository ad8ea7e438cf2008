"""`manage.py maintenance list | announce | cancel`."""

from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from billing.incidents import announcing
from billing.incidents.components import NAMES
from billing.models import MaintenanceWindow
from tenants.management.subcommands import Option, SubcommandsCommand, subcommand
from tenants.problem import ProblemError

TITLE_MAX = 160


class Command(SubcommandsCommand):
    """Maintenance of the status page; announced 72 hours ahead, its minutes are left out of the SLA."""

    help = "List, announce and cancel maintenance."

    @subcommand("List maintenance, the latest first.")
    def list_(self) -> list[dict[str, Any]]:
        """Print it."""
        return [_row(row) for row in MaintenanceWindow.objects.all()]

    @subcommand(
        "Announce maintenance; with --yes mail it to all customers and subscribers. Its times stand then.",
        Option("--title", "what is done, in a few words", required=True),
        Option("--concerns", f"what of the service, with commas between: {', '.join(NAMES)}", required=True),
        Option("--from", "when it begins (UTC), as 2026-12-31T22:00", required=True),
        Option("--until", "when it ends (UTC)", required=True),
        Option("--text", "what is done, and what people will notice", required=True),
        Option("--yes", "announce it", kind="switch"),
    )
    def announce(self, *, title: str, concerns: str, until: str, text: str, yes: bool, **more: str) -> dict[str, Any]:
        """Print it, and to how many it goes."""
        now, components = timezone.now(), [each.strip() for each in concerns.split(",")]
        for each in components:
            if each not in NAMES:
                raise ProblemError(f"there is no {each[:30]!r} among {', '.join(NAMES)}")
        starts, ends = _moment(more["from"]), _moment(until)
        if ends <= starts:
            raise ProblemError("it ends after it begins")
        if not title.strip() or len(title) > TITLE_MAX or not text.strip():
            raise ProblemError(f"say what is done, the title in at most {TITLE_MAX} characters")
        with transaction.atomic():
            row = MaintenanceWindow.objects.create(
                title=title.strip(), components=components, starts_at=starts, ends_at=ends, text=text.strip()
            )
            row = announcing.publish_window(window=row, now=now)
            transaction.set_rollback(not yes)
        shown = {**_row(row), "left_out_of_the_sla": starts - now >= announcing.AHEAD, "announced": yes}
        return {**shown, "number": row.pk if yes else None, "addresses": len(announcing.recipients(customers=True))}

    @subcommand(
        "Take an announcement back, or end what goes on; who was told is told.",
        Option("--number", "its id in `maintenance list`", kind="number", required=True),
    )
    def cancel(self, *, number: int) -> dict[str, Any]:
        """Print it."""
        row = MaintenanceWindow.objects.filter(pk=number).first()
        if row is None:
            raise ProblemError(f"there is no maintenance {number}: see `maintenance list`")
        return _row(announcing.cancel_window(window=row, now=timezone.now()))


def _moment(text: str) -> datetime:
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise ProblemError(f"{text!r} is no time: write it as 2026-12-31T22:00") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def _row(row: MaintenanceWindow) -> dict[str, Any]:
    return {
        "number": row.pk,
        "title": row.title,
        "concerns": row.components,
        "starts_at": row.starts_at.isoformat(timespec="seconds"),
        "ends_at": row.ends_at.isoformat(timespec="seconds"),
        "announced": row.published_at is not None,
        "cancelled": row.cancelled_at is not None,
    }
