"""Granting and revoking staff rights, by a command, because nobody may make themselves staff by a page."""

from allauth.account import app_settings
from allauth.account.models import EmailAddress
from allauth.account.utils import filter_users_by_email, user_pk_to_url_str
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.urls import reverse

from tenants import mail
from tenants.audit import recording
from tenants.changes import Changed, normalised_name
from tenants.problem import ProblemError
from tenants.services.second_factors import end_sessions


def staff_add(*, email: str, name: str = "") -> Changed[User]:
    """Make somebody staff: a new account without a password (see password_link), or the account of this address.

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
        changed = not (user.pk and user.is_staff and user.is_superuser and user.is_active)
        if changed:
            user.is_staff = user.is_superuser = user.is_active = True
            user.save()
            recording.record("staff.add", customer=None, target=email, target_id=user.pk)
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
            end_sessions(user)
            recording.record("staff.remove", customer=None, target=user.email, target_id=user.pk)
    return Changed(user, changed)


def password_link(*, user: User) -> str:
    """An address where this person can set a password, once and for three days. Raises ProblemError."""
    token = app_settings.PASSWORD_RESET_TOKEN_GENERATOR().make_token(user)
    parts = {"uidb36": user_pk_to_url_str(user), "key": token}
    return mail.link(reverse("account_reset_password_from_key", kwargs=parts))


def find(email: str) -> User | None:
    """The account of an address, the verified one where there are several."""
    found = filter_users_by_email(email, prefer_verified=True)
    return found[0] if found else None
