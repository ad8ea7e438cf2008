"""Signal receivers that record logins and changes of accounts in the audit log.

django-allauth tells by signals; connect() is called once, when the app is ready.
"""

from typing import Any

from allauth.account import signals as account
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY, get_authentication_records
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.contrib.auth.models import User
from django.http import HttpRequest

from tenants.audit import actors, recording


def connect() -> None:
    """Listen to django-allauth."""
    account.user_logged_in.connect(logged_in, dispatch_uid="tenants")
    account.password_changed.connect(password_changed, dispatch_uid="tenants")
    account.password_set.connect(password_changed, dispatch_uid="tenants")
    account.password_reset.connect(password_reset, dispatch_uid="tenants")
    account.email_changed.connect(email_changed, dispatch_uid="tenants")
    mfa.authenticator_added.connect(factor_added, dispatch_uid="tenants")
    mfa.authenticator_removed.connect(factor_removed, dispatch_uid="tenants")
    mfa.authenticator_reset.connect(codes_renewed, dispatch_uid="tenants")
    mfa.authentication_failed.connect(code_rejected, dispatch_uid="tenants")


def logged_in(request: HttpRequest, user: User, **_: Any) -> None:
    """Record a login, with its methods."""
    methods = [str(record["method"]) for record in get_authentication_records(request, user)]
    _record(request, user, "account.log_in", methods=" + ".join(methods))


def password_changed(request: HttpRequest, user: User, **_: Any) -> None:
    """Somebody has changed their password; Django ends their other sessions."""
    _record(request, user, "account.change_password")


def password_reset(request: HttpRequest, user: User, **_: Any) -> None:
    """Somebody has set a new password by the link in an e-mail."""
    _record(request, user, "account.reset_password")


def email_changed(request: HttpRequest, user: User, from_email_address: Any, to_email_address: Any, **_: Any) -> None:
    """Somebody has another address now."""
    _record(request, user, "account.change_email", before=from_email_address, after=to_email_address)


def factor_added(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    """A second factor more."""
    _record(request, user, "account.add_second_factor", kind=authenticator.type)


def factor_removed(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    """A second factor less. Without any, none counts as shown any more."""
    _record(request, user, "account.remove_second_factor", kind=authenticator.type)
    if not is_mfa_enabled(user, (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)):
        records = get_authentication_records(request, user)
        request.session[AUTHENTICATION_METHODS_SESSION_KEY] = [one for one in records if one.get("method") != "mfa"]


def codes_renewed(request: HttpRequest, user: User, **_: Any) -> None:
    """Somebody has new recovery codes."""
    _record(request, user, "account.renew_recovery_codes")


def code_rejected(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    """A wrong one-time code, from somebody who has given the right password before."""
    _record(request, user, "account.refuse_code", kind=authenticator.type)


def _record(request: HttpRequest, user: User, action: str, **details: object) -> None:
    with recording.acting(actors.of(request, user)):
        recording.record(action, customer=None, target=user.email, target_id=user.pk, **details)
