"""The public status page and the subscriptions to its mails: pages of nobody's, which need no login."""

import logging
from pathlib import Path
from typing import Final

from django import forms
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods

from billing.incidents import publishing, rendering, subscribing
from tenants.addresses import client_address
from tenants.problem import ProblemError, first_line

logger = logging.getLogger(__name__)

TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "atom": "application/atom+xml; charset=utf-8",
}


class SubscribeForm(forms.Form):
    """An address to be mailed to."""

    email = forms.EmailField(
        label="Your e-mail address",
        max_length=subscribing.EMAIL_MAX,
        help_text="A mail with a link comes first, to confirm.",
    )


@csrf_exempt  # it changes nothing, and another method is told so: 405, not 403
@require_GET
def page(_request: HttpRequest) -> HttpResponse:
    """The status as a page."""
    return _document("html")


@csrf_exempt
@require_GET
def as_json(_request: HttpRequest) -> HttpResponse:
    """The same for machines."""
    return _document("json")


@csrf_exempt
@require_GET
def feed(_request: HttpRequest) -> HttpResponse:
    """Incidents and maintenance as a feed."""
    return _document("atom")


def _document(name: str) -> HttpResponse:
    try:
        text = getattr(publishing.current(timezone.now()), name)
    except DatabaseError as error:
        logger.warning("the status is shown as it was written last: %s", first_line(error))
        text = _written(name)
    if text is None:
        return HttpResponse("The status is not known at the moment.\n", status=503, content_type="text/plain")
    response = HttpResponse(text, content_type=TYPES[name])
    response["Cache-Control"] = "public, max-age=30"
    if name == "html":
        response["Content-Security-Policy"] = rendering.policy()
    # Whoever shows our status on a page of theirs may.
    response["Access-Control-Allow-Origin"] = "*"
    return response


def _written(name: str) -> str | None:
    """What the files say, which tell themselves how old they are; None where there are none."""
    if not settings.STATUS_DIR:
        return None
    try:
        return (Path(settings.STATUS_DIR) / publishing.FILES[name]).read_text(encoding="utf-8")
    except OSError:
        return None


@require_http_methods(["GET", "POST"])
def subscribe(request: HttpRequest) -> HttpResponse:
    """Ask for mails. Whatever the address, the answer is the same."""
    form = SubscribeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            subscribing.ask(email=form.cleaned_data["email"], address=client_address(request) or "")
        except subscribing.TooManyError as problem:
            form.add_error(None, problem.sentence)
            return render(request, "billing/status/subscribe.html", {"form": form}, status=429)
        except ProblemError as problem:
            form.add_error(None, problem.sentence)
        else:
            return render(request, "billing/status/asked.html", {"email": form.cleaned_data["email"]})
    return render(request, "billing/status/subscribe.html", {"form": form})


@require_http_methods(["GET", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """What the link in the first mail leads to: looking at it changes nothing, for mail programs look, too."""
    email = subscribing.address_of(token)
    if email is None:
        return render(request, "billing/status/dead.html", status=404)
    done, problem = False, ""
    if request.method == "POST":
        try:
            done = subscribing.confirm(token=token, now=timezone.now()) is not None
        except ProblemError as error:
            problem = error.sentence
    return render(request, "billing/status/confirm.html", {"email": email, "done": done, "problem": problem})


# Mail programs send what RFC 8058 says, without a cookie; the token is what allows it.
@csrf_exempt
@require_http_methods(["GET", "POST"])
def leave(request: HttpRequest, token: str) -> HttpResponse:
    """Unsubscribe: with one click in a mail program, or by the button on this page."""
    email = subscribing.leaver_of(token)
    if email is None:
        return render(request, "billing/status/dead.html", status=404)
    done = request.method == "POST"
    if done:
        subscribing.leave(email=email)
    return render(request, "billing/status/leave.html", {"email": email, "done": done})
