"""Granting and revoking staff rights, by a command, because nobody may make themselves staff by a page."""

from typing import Any

from allauth.account import app_settings
from allauth.account.models import EmailAddress
from allauth.account.utils import filter_users_by_email, user_pk_to_url_str
from django.apps import apps as installed
from django.apps.registry import Apps
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import DEFAULT_DB_ALIAS, transaction
from django.urls import reverse

from tenants import mail, staff_roles
from tenants.audit import recording
from tenants.changes import Changed, normalised_name
from tenants.problem import ProblemError
from tenants.services.second_factors import end_sessions


def staff_add(*, email: str, name: str = "", role: str = staff_roles.ADMIN) -> Changed[User]:
    """Make somebody staff of a role: a new account without a password (see password_link), or that of this address.

    The address counts as verified: whoever may give this command could write it into the database as well.
    """
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise ProblemError(f"{email[:100]!r} is no e-mail address, which looks like ada@example.com") from None
    with transaction.atomic():
        user = find(email)
        if user is None:
            user = User(
                username=email[:150], email=email, first_name=normalised_name(name, "person")[:150] if name else ""
            )
            user.set_unusable_password()
        changed = not (user.pk and user.is_staff and user.is_active)
        if changed:
            user.is_staff = user.is_active = True
            user.is_superuser = role == staff_roles.ADMIN
            user.save()
            recording.record("staff.add", customer=None, target=email, target_id=user.pk, role=role)
            _join(user, role)
        else:
            changed = staff_role(user=user, role=role).changed
        address, _ = EmailAddress.objects.get_or_create(user=user, email=email)
        if not address.set_verified() or not address.set_as_primary():
            raise ProblemError(f"{email} is another account's verified address")
    return Changed(user, changed)


def staff_remove(*, user: User) -> Changed[User]:
    """Make somebody an ordinary person again, and end their sessions; the account stays."""
    with transaction.atomic():
        changed = user.is_staff or user.is_superuser
        if changed:
            user.is_staff = user.is_superuser = False
            user.save(update_fields=("is_staff", "is_superuser"))
            user.groups.clear()
            end_sessions(user)
            recording.record("staff.remove", customer=None, target=user.email, target_id=user.pk)
    return Changed(user, changed)


def staff_role(*, user: User, role: str) -> Changed[User]:
    """Give somebody of the staff another role, in the place of what they had. Raises ProblemError."""
    if role not in staff_roles.ROLES:
        raise ProblemError(f"there is no role {role[:30]!r}: {', '.join(staff_roles.ROLES)}")
    with transaction.atomic():
        if not user.is_staff:
            raise ProblemError(f"{user.email} is no staff: `staff add` comes first")
        before = roles_of(user)
        changed = before != [role]
        if changed:
            user.is_superuser = role == staff_roles.ADMIN
            user.save(update_fields=("is_superuser",))
            _join(user, role)
            recording.record(
                "staff.role", customer=None, target=user.email, target_id=user.pk, before=", ".join(before), after=role
            )
    return Changed(user, changed)


def roles_of(user: User) -> list[str]:
    """The roles that somebody of the staff has; none for whoever sees nothing."""
    if not user.is_staff:
        return []
    if user.is_superuser:
        return [staff_roles.ADMIN]
    return sorted(group.name for group in user.groups.all() if group.name in staff_roles.GROUPS)


def write_groups(using: str = DEFAULT_DB_ALIAS) -> None:
    """Make the groups of the roles say what the table says; after each migration, when all permissions are there."""
    known = {
        (app, name): pk
        for pk, app, name in Permission.objects.using(using).values_list("pk", "content_type__app_label", "codename")
    }
    for role in staff_roles.GROUPS:
        group, _ = Group.objects.using(using).get_or_create(name=role)
        # A database that is migrated to an earlier state has not all of them.
        group.permissions.set(known[each] for each in staff_roles.codenames(role) if each in known)


def after_migrate(*, using: str, apps: Apps = installed, **_: Any) -> None:
    """Receiver of post_migrate: write the groups, unless django.contrib.auth is not there yet.

    https://docs.djangoproject.com/en/5.2/ref/signals/#post-migrate
    """
    try:
        apps.get_model("auth", "Group")
    except LookupError:
        return
    write_groups(using)


def _join(user: User, role: str) -> None:
    user.groups.set(Group.objects.filter(name=role) if role in staff_roles.GROUPS else ())


def password_link(*, user: User) -> str:
    """An address where this person can set a password, once and for three days. Raises ProblemError."""
    token = app_settings.PASSWORD_RESET_TOKEN_GENERATOR().make_token(user)
    parts = {"uidb36": user_pk_to_url_str(user), "key": token}
    return mail.link(reverse("account_reset_password_from_key", kwargs=parts))


def find(email: str) -> User | None:
    """The account of an address, the verified one where there are several."""
    found = filter_users_by_email(email, prefer_verified=True)
    return found[0] if found else None
