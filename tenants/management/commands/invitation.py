"""`manage.py invitation add | list | withdraw`."""

from typing import Any

from tenants import people, selectors, services
from tenants.mail import MailError
from tenants.management.subcommands import CUSTOMER, Option, SubcommandsCommand, subcommand
from tenants.models import Invitation, Role
from tenants.problem import ProblemError


class Command(SubcommandsCommand):
    """Invitations to become a member of a customer."""

    help = "Invite people to a customer, list and withdraw invitations."

    @subcommand(
        "Invite somebody by e-mail; the same again sends a new link. Prints the link, this once.",
        CUSTOMER,
        Option("--email", "whom", required=True),
        Option("--role", "as what (default: owner)", choices=Role.values, default="owner"),
    )
    def add(self, *, customer: str, email: str, role: str) -> dict[str, Any]:
        """Print the invitation; `problem` says why the e-mail was not sent."""
        found = selectors.customer(customer)
        made = services.invitation_add(customer=found, email=email, role=role, by=services.OPERATOR)
        problem = None
        try:
            services.invitation_send(made=made)
        except MailError as error:
            problem = str(error)
        return {**_row(made.row), "link": made.link, "problem": problem}

    @subcommand("List what nobody has accepted yet.", CUSTOMER)
    def list_(self, *, customer: str) -> list[dict[str, Any]]:
        """Print them."""
        return [_row(row) for row in people.invitations_of(selectors.customer(customer))]

    @subcommand("Take an invitation back.", CUSTOMER, Option("--email", "whose", required=True))
    def withdraw(self, *, customer: str, email: str) -> dict[str, Any]:
        """Print it."""
        row = people.invitations_of(selectors.customer(customer)).filter(email=email.lower()).first()
        if row is None:
            raise ProblemError(f"{customer} has no open invitation for {email!r}: see `invitation list`")
        changed = services.invitation_withdraw(invitation=row, by=services.OPERATOR)
        return {**_row(changed.row), "changed": changed.changed}


def _row(row: Invitation) -> dict[str, Any]:
    return {
        "email": row.email,
        "customer": row.customer.slug,
        "role": row.role,
        "invited_by": row.invited_by.email if row.invited_by else None,
        "expires_at": row.expires_at.isoformat(timespec="seconds"),
    }
