"""The pages behind the link of an invitation. Looking at one changes nothing: mail scanners follow links, too."""

from allauth.account.utils import filter_users_by_email
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from tenants import people, scope, services
from tenants.accounts import invitation_session
from tenants.audit import actors, recording
from tenants.models import Invitation
from tenants.problem import ProblemError
from tenants.services import invitation_tokens


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def by_token(request: HttpRequest, token: str) -> HttpResponse:
    """The link of the e-mail: says what the invitation is; POST goes on with it."""
    return _respond(request, people.invitation(invitation_tokens.digest(token, settings.HASH_KEY)))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def in_session(request: HttpRequest) -> HttpResponse:
    """The same for the invitation that this session has opened, after the login."""
    return _respond(request, invitation_session.opened(request))


def _respond(request: HttpRequest, row: Invitation | None) -> HttpResponse:
    if row is None or not people.is_open(row):
        answer = _unusable(request, row)
    elif request.method == "POST":
        answer = _accept(request, row)
    else:
        answer = _rendered(request, row)
    # The address holds the token. Not "no-referrer", which would take the Origin from forms, too.
    answer["Referrer-Policy"] = "same-origin"
    return answer


def _accept(request: HttpRequest, row: Invitation) -> HttpResponse:
    if not request.user.is_authenticated:
        invitation_session.remember(request, row)
        known = filter_users_by_email(row.email, is_active=True)
        return redirect_to_login(reverse("invitation")) if known else redirect("account_signup")
    try:
        with scope.invitation(bytes(row.digest), request.user.pk), recording.acting(actors.of(request)):
            services.invitation_accept(invitation=row, user=request.user)
    except ProblemError:
        now = people.invitation(bytes(row.digest))
        # Somebody was quicker, in another window perhaps: that is said, instead of what stood there a moment ago.
        return (
            _rendered(request, now, status=409) if now is not None and people.is_open(now) else _unusable(request, now)
        )
    invitation_session.forget(request)
    messages.success(request, f"You are a member of {row.customer.name} now.")
    return redirect("customer", slug=row.customer.slug)


def _unusable(request: HttpRequest, row: Invitation | None) -> HttpResponse:
    return render(request, "tenants/invitation/dead.html", {"invitation": row}, status=410 if row else 404)


def _rendered(request: HttpRequest, row: Invitation, status: int = 200) -> HttpResponse:
    mine = people.addresses_of(request.user) if request.user.is_authenticated else set()
    context = {"invitation": row, "for_another": request.user.is_authenticated and row.email not in mine}
    return render(request, "tenants/invitation/invitation.html", context, status=status)
