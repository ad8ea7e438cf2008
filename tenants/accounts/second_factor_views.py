"""The pages on which a second factor is set up: django-allauth's, with what has to follow.

Invariant: in every session of a person with a second factor it was shown. It is asked for at each login; the session
in which the first one is set up has just shown it; all other sessions of that moment end.
"""

from typing import Any, Final

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.views import ActivateTOTPView
from allauth.mfa.utils import is_mfa_enabled
from allauth.mfa.webauthn.views import AddWebAuthnView
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from tenants.services.second_factors import end_sessions

# In the session: where somebody wanted to go who has to set up a second factor first.
WANTED: Final = "after_second_factor"
_SHOWN: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


class PersonRequest(HttpRequest):
    """A request of somebody who is logged in."""

    user: User


@require_safe
@login_required
@never_cache
def second_factor(request: PersonRequest) -> HttpResponse:
    """The page that explains to staff why they need a second factor, and leads to one."""
    wanted = request.GET.get("next", "")
    if wanted and get_adapter(request).is_safe_url(wanted):
        request.session[WANTED] = wanted
    return render(request, "tenants/account/second_factor.html")


class _FirstFactorMixin:
    """Mixin that marks the first second factor as passed in the request that has set it up."""

    request: PersonRequest

    def form_valid(self, form: Any) -> HttpResponse:
        """See above. Not by the signal, which comes after the commit: then the session may be saved already."""
        user = self.request.user
        first = not is_mfa_enabled(user, _SHOWN)
        answer: HttpResponse = super().form_valid(form)  # type: ignore[misc]
        if first:
            row = Authenticator.objects.filter(user=user, type__in=_SHOWN).latest("created_at")
            record_authentication(self.request, user, "mfa", id=row.pk, type=row.type)
            end_sessions(user, but=self.request.session.session_key)
        return answer


class ActivateApp(_FirstFactorMixin, ActivateTOTPView):  # type: ignore[misc]
    """Sets up an authenticator app."""


class AddKey(_FirstFactorMixin, AddWebAuthnView):  # type: ignore[misc]
    """Adds a security key or passkey."""
