"""`manage.py staff today | find`, beside tenants' verbs: what the staff's first page says is of every app."""

from typing import Any

from django.utils import timezone

from hpns.staff import search
from hpns.staff import today as needs_today
from tenants.management.commands import staff as tenants
from tenants.management.subcommands import Option, subcommand


class Command(tenants.Command):
    """The operator's own people, and what there is for them to do."""

    help = "Add, list and remove staff, say what each may see, and what needs somebody today; find what they look for."

    @subcommand("List what needs somebody today, the worst first.")
    def today(self) -> list[dict[str, Any]]:
        """Print each with its count, since when, and its place in the admin."""
        return [
            {**need._asdict(), "since": need.since.isoformat(timespec="seconds") if need.since else None}
            for need in needs_today.needs(lambda _: True, timezone.now())
        ]

    @subcommand(
        "Find by company, licence id, server_id, invoice number, key prefix, server or e-mail address.",
        Option("TEXT", "what is looked for"),
    )
    def find(self, *, text: str) -> list[dict[str, Any]]:
        """Print what it names, with its place in the admin."""
        return [hit._asdict() for hit in search.find(search.cleaned(text), lambda _: True)]
