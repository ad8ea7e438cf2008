"""`manage.py staff add | list | role | remove | reset-second-factor`."""

from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User

from tenants import services, staff_roles
from tenants.management.subcommands import Option, SubcommandsCommand, subcommand
from tenants.problem import ProblemError
from tenants.services.staff import find, roles_of

_EMAIL: Final = Option("--email", "the person's e-mail address", required=True)
_SEES: Final = "support: no money; finance: no keys and pushes; admin: everything"


class Command(SubcommandsCommand):
    """The operator's own people."""

    help = "Add, list and remove staff, and help people who have lost their second factor."

    @subcommand(
        "Make somebody staff; prints a link where they set a password, once and within three days.",
        _EMAIL,
        Option("--name", "what people call them"),
        Option("--role", _SEES, choices=staff_roles.ROLES, default=staff_roles.ADMIN),
    )
    def add(self, *, email: str, name: str, role: str) -> dict[str, Any]:
        """Print the person and the link."""
        user, changed = services.staff_add(email=email, name=name, role=role)
        return {**_row(user), "changed": changed, "password_link": services.password_link(user=user)}

    @subcommand("List the staff.")
    def list_(self) -> list[dict[str, Any]]:
        """Print them."""
        return [_row(user) for user in User.objects.filter(is_staff=True).order_by("email")]

    @subcommand(
        "Give somebody of the staff a role, in the place of the one they had.",
        _EMAIL,
        Option("--role", _SEES, choices=staff_roles.ROLES, required=True),
    )
    def role(self, *, email: str, role: str) -> dict[str, Any]:
        """Print the person."""
        user, changed = services.staff_role(user=_person(email), role=role)
        return {**_row(user), "changed": changed}

    @subcommand("Make somebody an ordinary person again.", _EMAIL)
    def remove(self, *, email: str) -> dict[str, Any]:
        """Print the person."""
        user, changed = services.staff_remove(user=_person(email))
        return {**_row(user), "changed": changed}

    @subcommand("Take away the second factors of somebody, staff or not, who has lost them.", _EMAIL)
    def reset_second_factor(self, *, email: str) -> dict[str, Any]:
        """Print how many there were."""
        return {"email": email, "removed": services.second_factor_reset(user=_person(email))}


def _person(email: str) -> User:
    user = find(email)
    if user is None:
        raise ProblemError(f"nobody has the e-mail address {email!r}: see `staff list`, or the people in the admin")
    return user


def _row(user: User) -> dict[str, Any]:
    return {
        "email": user.email,
        "name": user.first_name,
        "staff": user.is_staff,
        "roles": roles_of(user),
        "second_factor": sorted(Authenticator.objects.filter(user=user).values_list("type", flat=True)),
        "last_login": user.last_login.isoformat(timespec="seconds") if user.last_login else None,
    }
