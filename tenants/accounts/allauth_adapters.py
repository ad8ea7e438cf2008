"""Adapters of django-allauth for accounts and second factors. https://docs.allauth.org/en/latest/account/adapter.html

Invariants: nobody makes an account without an invitation; whoever tries addresses out learns nothing of them; no link
in an e-mail is made of a request; no secret of a second factor lies open in the database.
"""

import logging
import time
import unicodedata
from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import quote, urlsplit

import qrcode
from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from qrcode.image.svg import SvgPathFillImage

from tenants import mail, vault
from tenants.accounts import login_limits
from tenants.accounts.invitation_session import invited
from tenants.addresses import client_address
from tenants.audit import actors, recording
from tenants.services.second_factors import PURPOSE

log = logging.getLogger(__name__)
# Seconds in which one account's refused attempts make one event: the window of the limit itself.
BURST: Final = 300
RESET_MAIL: Final = "account/email/password_reset_key"


def display(user: AbstractBaseUser) -> str:
    """How a person is called: by the name that they gave, else by their address."""
    return str(getattr(user, "first_name", "") or getattr(user, "email", "") or user.get_username())


def fold(text: str) -> str:
    """Case-folded form of an address, so that spellings that are found alike are alike."""
    return unicodedata.normalize("NFKC", text.strip()).casefold()


def _tried(credentials: Mapping[str, Any]) -> str:
    """The account that an attempt is at, however it is spelled; not of the Host that the request names."""
    return fold(str(credentials.get("email", credentials.get("username", ""))))


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts; django-allauth makes one for each use."""

    error_messages: ClassVar = {
        **DefaultAccountAdapter.error_messages,
        "account_inactive": "This account is locked: ask the operator of this service.",
        "duplicate_email": "This is your address already.",
        "email_password_mismatch": "There is no account with this address and this password.",
        "enter_current_password": "This is not your present password.",
        "incorrect_code": "This code is not right: look at the newest one, and type all of it.",
        "incorrect_password": "This is not your password.",
        "invalid_password_reset": "This link no longer works: ask for a new one.",
        "rate_limited": "There were too many attempts: wait a few minutes, then try again.",
        "too_many_login_attempts": "There were too many attempts: wait five minutes, then try again, or use a browser "
        "in which you have logged in before.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Only for who has opened an invitation in this session."""
        return invited(request) is not None

    def get_client_ip(self, request: HttpRequest) -> str:
        """The client address by which login attempts are rate-limited."""
        address = client_address(request)
        if address is None:
            raise PermissionDenied("the request came from no network address")
        return address

    def is_safe_url(self, url: str) -> bool:
        """Where ?next= may lead: to paths of ours, whatever names we have."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def get_reset_password_from_key_url(self, key: str) -> str:
        """The link in the e-mail for a new password."""
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return mail.link(path.replace("UID-KEY", quote(key)))

    def send_account_already_exists_mail(self, email: str) -> None:
        """The e-mail to an address with which somebody wanted to sign up a second time."""
        context = {"password_reset_url": mail.link(reverse("account_reset_password"))}
        self.send_mail("account/email/account_already_exists", email, context)

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whether to ask for the password (or a code) again: not within minutes of the login itself."""
        records = get_authentication_records(self.request, self.request.user)
        if records and time.time() - records[-1]["at"] < app_settings.REAUTHENTICATION_TIMEOUT:
            return False
        return bool(super().is_reauthentication_required(app=app, **kwargs))

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count an attempt. Raises ValidationError over a limit, which is noted once for each burst."""
        tried, address = _tried(credentials), self.get_client_ip(request)
        self._login_failed_rl_usage = login_limits.consume(request, tried, address)
        if self._login_failed_rl_usage is None:
            if cache.add(f"burst:{address}:{tried}"[:200], "noted", BURST):
                with recording.acting(actors.of(request)):
                    recording.record("account.log_in_limited", customer=None, target=tried)
            raise self.validation_error("too_many_login_attempts")

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Note a wrong password. What was typed as the address of no account may be a password: it is not kept."""
        tried, address = _tried(credentials), self.get_client_ip(request)
        known = EmailAddress.objects.filter(email__iexact=tried).exists()
        if login_limits.is_worth_noting(request, tried, address):
            with recording.acting(actors.of(request)):
                target = tried if known else "an address without account"
                recording.record("account.log_in_failed", customer=None, target=target)

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **how: Any) -> HttpResponse:
        """The response to a login, by which the browser is known from now on; who has just chosen a password has shown
        it."""
        if how.get("signup"):
            record_authentication(request, user, "password")
        response: HttpResponse = super().post_login(request, user, **how)
        login_limits.remember(request, response, user)
        return response

    def send_mail(self, template_prefix: str, email: str, context: Mapping[str, Any]) -> None:
        """Send one of django-allauth's e-mails; where it cannot be sent, say so and let it be tried again.

        Not so the one for a new password: known addresses alone get it, and the answer must not tell which they are.
        """
        if template_prefix == RESET_MAIL:
            mail.send_later(template_prefix, to=email, context={**context, "email": email})
            return
        try:
            mail.send(template_prefix, to=email, context={**context, "email": email})
        except mail.MailError:
            # In the same words for every address, known or not.
            text = "The e-mail could not be sent: the mail server cannot be reached. Try again in a few minutes."
            messages.error(self.request, text)
            raise ImmediateHttpResponse(HttpResponseRedirect(self.request.path)) from None

    def send_notification_mail(
        self,
        template_prefix: str,
        user: AbstractBaseUser,
        context: Mapping[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """Notify somebody by e-mail of a change to their account. The change stands, also where that fails."""
        to = email or EmailAddress.objects.get_primary_email(user)
        if not to:
            return
        known = {"timestamp": timezone.now(), "ip": client_address(self.request), **(context or {})}
        known["user_agent"] = self.get_http_user_agent(self.request)[:200]
        try:
            mail.send(template_prefix, to=to, context=known)
        except mail.MailError:
            log.warning("User %s was not notified of %s by e-mail.", user.pk, template_prefix)


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors: sealed, and bound to the public name of the service."""

    error_messages: ClassVar = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": AccountAdapter.error_messages["incorrect_code"],
        "unverified_email": "Show first that your e-mail address is yours: log in again, and type the code.",
    }

    def encrypt(self, text: str) -> str:
        """Seal a secret for the database."""
        return vault.seal(text.encode(), PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        """Open it. Raises VaultError, which says what to do."""
        return vault.open_(encrypted_text, PURPOSE).decode()

    def build_totp_svg(self, url: str) -> str:
        """The picture for the authenticator app, on a ground of its own, so that it can be read on a dark page."""
        return str(qrcode.make(url, image_factory=SvgPathFillImage).to_string(encoding="unicode"))

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """The relying party (WebAuthn) of security keys: the public host name, not the one that a request names."""
        entity: dict[str, str] = super().get_public_key_credential_rp_entity()
        public = urlsplit(settings.PUBLIC_URL).hostname
        return {"id": public or entity["id"], "name": settings.MFA_TOTP_ISSUER}
