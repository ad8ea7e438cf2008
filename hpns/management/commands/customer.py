"""`manage.py customer export | erase | forget`, beside billing's verbs: what a customer owns is in every app."""

from pathlib import Path
from typing import Any

from django.utils import timezone

from billing.invoices import erasing as invoices_erasing
from billing.management.commands import customer as billing
from hpns.departure import erasure
from hpns.departure.export import writing
from hpns.departure.export.file import write
from tenants import selectors, services
from tenants.audit import recording
from tenants.management.subcommands import Option, subcommand
from tenants.problem import ProblemError

_SLUG = Option("--slug", "the customer's slug", required=True)


class Command(billing.Command):
    """Customers, from the first day to the last."""

    help = "Add, list, suspend and resume customers; say what each may do; export and erase what they own."

    @subcommand(
        "Write everything that a customer owns into an archive.",
        _SLUG,
        Option("--out", "the .zip to be made", required=True),
    )
    def export(self, *, slug: str, out: str) -> dict[str, Any]:
        """Print where it is."""
        customer, path = selectors.customer(slug), Path(out).absolute()
        recording.record("customer.export", customer=customer, target=customer.name)
        return {"customer": slug, "file": str(path), "bytes": write(path, writing.export(customer))}

    @subcommand(
        "Say what erasing a suspended customer would delete; with --yes-erase do it. It cannot be undone.",
        _SLUG,
        Option("--yes-erase", "the slug once more: erase it"),
    )
    def erase(self, *, slug: str, yes_erase: str) -> dict[str, Any]:
        """Print what goes, or what went."""
        customer = selectors.customer(slug)
        if not yes_erase:
            return {**erasure.plan(customer=customer), "erased": False}
        if yes_erase != slug:
            raise ProblemError(f"--yes-erase says {yes_erase!r} and --slug {slug!r}: nothing was erased")
        return {**erasure.erase(customer=customer), "erased": True}

    @subcommand("Delete what was kept of customers that were erased AGREEMENT_YEARS ago; the timetable does so daily.")
    def forget(self) -> dict[str, Any]:
        """Print how many events of the audit log went."""
        # First, for events about documents are kept while there are any.
        went = invoices_erasing.forget(now=timezone.now())
        return {"deleted_events": services.erased_forget(), "customers_whose_documents_went": went}
