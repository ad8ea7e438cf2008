"""The staff's page before customers are suspended or resumed: it asks why, and says what will happen."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from billing import customers, suspension_mails
from billing.suspension_mails import Letter
from tenants.changes import Changed
from tenants.models import Customer

_PAGE: Final = "admin/billing/suspend.html"


class Act(NamedTuple):
    """One of the two: the action's name, its words, and what does it."""

    action: str
    title: str
    will: str
    done: str
    needs_reason: bool
    change: Callable[..., Changed[Customer]]


SUSPEND: Final = Act(
    "suspend",
    "Suspend customers",
    "Every push of these customers is refused within two seconds. Nothing is deleted. Their owners get an e-mail with "
    "the reason, and it stands on their pages and in their audit log.",
    "suspended",
    True,
    customers.suspend,
)
RESUME: Final = Act(
    "resume",
    "Resume customers",
    "Pushes of these customers are served again within two seconds, as far as their subscription includes them. Their "
    "owners get an e-mail.",
    "resumed",
    False,
    customers.resume,
)


class ReasonForm(forms.Form):
    """Why it is done."""

    reason = forms.CharField(
        max_length=customers.REASON_MAX,
        strip=True,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text="The customer reads it as it stands here.",
    )


def ask(
    site: "admin.ModelAdmin[Customer]", request: HttpRequest, queryset: QuerySet[Customer], act: Act
) -> HttpResponse | None:
    """The page with the form; None once it was done. Whoever is so already stays so, and gets no e-mail."""
    form = ReasonForm(request.POST if "confirmed" in request.POST else None)
    form.fields["reason"].required = act.needs_reason
    if not form.is_valid():
        context: dict[str, Any] = {**site.admin_site.each_context(request), "title": act.title, "opts": site.opts}
        context |= {"rows": queryset, "act": act, "form": form}
        return TemplateResponse(request, _PAGE, context)
    changed = [act.change(customer=row, reason=form.cleaned_data["reason"]) for row in queryset]
    letters = [suspension_mails.letter(each.row) for each in changed if each.changed]
    number = len(letters)
    messages.success(request, f"{number:,} customer{' was' if number == 1 else 's were'} {act.done}.")
    transaction.on_commit(lambda: _send(request, letters), robust=True)
    return None


def _send(request: HttpRequest, letters: list[Letter]) -> None:
    sent = [suspension_mails.send(letter) for letter in letters]
    number = sum(each.number for each in sent)
    if number:
        messages.success(request, f"{number:,} e-mail{' went' if number == 1 else 's went'} out.")
    for each in sent:
        for problem in each.problems:
            messages.warning(request, problem)
