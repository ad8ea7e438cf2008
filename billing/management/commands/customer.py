"""`manage.py customer add | take-on | list | suspend | resume | offer | limits | allow | content | ...`."""

from typing import Any, Final

from billing import customers, entitlements, suspension_mails
from billing.offers import Limits
from tenants import selectors, services
from tenants.mail import MailError
from tenants.management import rows
from tenants.management.subcommands import Option, SubcommandsCommand, subcommand
from tenants.models import Customer

_SLUG: Final = Option("--slug", "the customer's slug", required=True)

_LIMITS: Final = {
    "rate": "pushes a second of all servers together",
    "burst": "pushes at once after a quiet time",
    "in_flight": "pushes that wait for their answer at a time",
    "server_rate": "pushes a second of each server",
    "server_burst": "the same at once",
    "server_in_flight": "the same waiting at a time",
    "server_quota": "servers that it may have",
    "key_quota": "keys in use that it may have",
    "app_quota": "enabled apps that it may have",
}
assert tuple(_LIMITS) == Limits._fields  # noqa: S101  a limit that is added must be said here, too
# What is said -> the field, and whether it means the opposite.
_ALLOWED: Final = {
    "shared-apps": ("may_use_shared", False),
    "server-id": ("may_use_server_id", False),
    "plain-http": ("tls_required", True),
    "pushing": ("active", False),
}


class Command(SubcommandsCommand):
    """Customers."""

    help = "Add, list, suspend and resume customers; say what each may do."

    @subcommand(
        "Add a customer; the same again changes nothing.",
        Option("--name", "what people call it", required=True),
        Option("--offer", "what was agreed on", required=True, choices=Customer.Offer.values),
        Option("--slug", "its name in commands and addresses (default: made of the name)"),
    )
    def add(self, *, name: str, offer: str, slug: str) -> dict[str, Any]:
        """Print the customer."""
        row, changed = customers.add(name=name, offer=offer, slug=slug)
        return {**rows.customer(row), "changed": changed}

    @subcommand(
        "Add a customer with its first server, and invite its first owner by e-mail: all of it or nothing.",
        Option("--name", "what people call it", required=True),
        Option("--offer", "what was agreed on", required=True, choices=Customer.Offer.values),
        Option("--owner-email", "the first owner", required=True),
        Option("--slug", "its name in commands and addresses (default: made of the name)"),
        Option("--server", "the name of its first Mattermost server"),
    )
    def take_on(self, *, name: str, offer: str, owner_email: str, slug: str, server: str) -> dict[str, Any]:
        """Print the customer and the invitation's link, and whether the e-mail went out."""
        made = customers.take_on(name=name, offer=offer, slug=slug, owner_email=owner_email, server_name=server)
        shown = {**rows.customer(made.customer), "invitation": made.invitation.link, "changed": True}
        try:
            services.invitation_send(made=made.invitation)
        except MailError as error:
            return {**shown, "sent": False, "problem": str(error)}
        return {**shown, "sent": True}

    @subcommand("List all customers.")
    def list_(self) -> list[dict[str, Any]]:
        """Print them."""
        return [rows.customer(row) for row in Customer.objects.select_related("entitlement")]

    @subcommand(
        "Refuse every push of a customer from now on, and write to its owners.",
        _SLUG,
        Option("--reason", "why: it stands in the e-mail, on the customer's pages and in its audit log", required=True),
    )
    def suspend(self, *, slug: str, reason: str) -> dict[str, Any]:
        """Print the customer, and to how many of its owners an e-mail went."""
        row, changed = customers.suspend(customer=selectors.customer(slug), reason=reason)
        return {**rows.customer(row), "changed": changed, **_told(row, changed=changed)}

    @subcommand(
        "Serve a suspended customer again, and write to its owners.",
        _SLUG,
        Option("--reason", "why, if that is to be said: it stands where the suspension's does"),
    )
    def resume(self, *, slug: str, reason: str) -> dict[str, Any]:
        """Print the customer, and to how many of its owners an e-mail went."""
        row, changed = customers.resume(customer=selectors.customer(slug), reason=reason)
        return {**rows.customer(row), "changed": changed, **_told(row, changed=changed)}

    @subcommand(
        "Move a customer to another offer, with that offer's terms and limits.",
        _SLUG,
        Option("--offer", "the new offer", required=True, choices=Customer.Offer.values),
    )
    def offer(self, *, slug: str, offer: str) -> dict[str, Any]:
        """Print the customer."""
        row, changed = entitlements.to_offer(customer=selectors.customer(slug), offer=offer)
        return {**rows.customer(row), "changed": changed}

    @subcommand(
        "Change a customer's limits; what is left out stays, 0 means no limit.",
        _SLUG,
        *(Option(f"--{name.replace('_', '-')}", what, kind="number") for name, what in _LIMITS.items()),
    )
    def limits(self, *, slug: str, **wanted: int | None) -> dict[str, Any]:
        """Print the customer."""
        customer = selectors.customer(slug)
        given = {name: value or None for name, value in wanted.items() if value is not None}
        _, changed = entitlements.change(customer=customer, **given)
        return {**rows.customer(selectors.customer(slug)), "changed": changed}

    @subcommand(
        "Allow or forbid a customer something beside its offer.",
        _SLUG,
        Option("--what", "what is allowed", required=True, choices=_ALLOWED),
        Option("--to", "yes or no", required=True, choices=("yes", "no")),
    )
    def allow(self, *, slug: str, what: str, to: str) -> dict[str, Any]:
        """Print the customer."""
        field, turned = _ALLOWED[what]
        _, changed = entitlements.change(customer=selectors.customer(slug), **{field: (to == "yes") != turned})
        return {**rows.customer(selectors.customer(slug)), "changed": changed}

    @subcommand(
        "Say what of a push's text goes to Apple and Google.",
        _SLUG,
        Option(
            "--to", "as the server sends it, a general text, or none", required=True, choices=Customer.Content.values
        ),
    )
    def content(self, *, slug: str, to: str) -> dict[str, Any]:
        """Print the customer."""
        row, changed = services.customer_content(customer=selectors.customer(slug), content=to)
        return {**rows.customer(row), "changed": changed}

    @subcommand(
        "Say who gets e-mail about credentials.",
        _SLUG,
        Option("--to", "addresses with commas between them; empty: nobody"),
    )
    def contacts(self, *, slug: str, to: str) -> dict[str, Any]:
        """Print the customer."""
        row, changed = services.customer_contacts(customer=selectors.customer(slug), contacts=to.split(","))
        return {**rows.customer(row), "changed": changed}

    @subcommand("Give a customer another name; its slug stays.", _SLUG, Option("--name", "the new name", required=True))
    def rename(self, *, slug: str, name: str) -> dict[str, Any]:
        """Print the customer."""
        row, changed = services.customer_rename(customer=selectors.customer(slug), name=name)
        return {**rows.customer(row), "changed": changed}


def _told(row: Customer, *, changed: bool) -> dict[str, Any]:
    if not changed:
        return {"mails": 0}
    sent, problems = suspension_mails.send(suspension_mails.letter(row))
    return {"mails": sent, **({"problem": " ".join(problems)} if problems else {})}
