"""A customer's people: members, invitations, roles."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from tenants import people as found
from tenants import services
from tenants.mail import MailError
from tenants.models import Invitation, Membership, Role
from tenants.pages.door import CustomerRequest, customer_page
from tenants.pages.people_forms import InviteForm, RoleForm, roles
from tenants.problem import ProblemError

_POST = ("POST",)


@customer_page("member.see")
def people(request: CustomerRequest) -> HttpResponse:
    """Who belongs to the customer, and who is invited."""
    return _page(request, InviteForm(owner=request.may("owner.change")))


@customer_page("invitation.change", methods=_POST)
def invite(request: CustomerRequest) -> HttpResponse:
    """Invite somebody; what was typed stays where it is wrong."""
    form = InviteForm(request.POST, owner=request.may("owner.change"))
    if form.is_valid():
        try:
            made = services.invitation_add(customer=request.customer, by=_by(request), **form.cleaned_data)
        except ProblemError as problem:
            form.add_error(None, problem.sentence)
        else:
            return _sent(request, made)
    return _page(request, form)


@customer_page("invitation.change", methods=_POST)
def invite_again(request: CustomerRequest, pk: int) -> HttpResponse:
    """Send a new link to somebody who was invited; the old one is dead."""
    row = _invitation(request, pk)
    try:
        made = services.invitation_add(customer=request.customer, email=row.email, role=row.role, by=_by(request))
    except ProblemError as problem:
        return _problem_response(request, problem)
    return _sent(request, made)


@customer_page("invitation.change", methods=_POST)
def withdraw(request: CustomerRequest, pk: int) -> HttpResponse:
    """Take an invitation back."""
    row = _invitation(request, pk)
    try:
        services.invitation_withdraw(invitation=row, by=_by(request))
    except ProblemError as problem:
        return _problem_response(request, problem)
    messages.success(request, f"The invitation of {row.email} is withdrawn; its link no longer works.")
    return redirect("people", slug=request.customer.slug)


@customer_page("member.change", methods=_POST)
def set_role(request: CustomerRequest, pk: int) -> HttpResponse:
    """Give a member another role."""
    row = _member(request, pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return _problem_response(request, ProblemError(f"the role must be one of {', '.join(Role.values)}"))
    try:
        changed = services.member_set_role(membership=row, role=form.cleaned_data["role"], by=_by(request))
    except ProblemError as problem:
        return _problem_response(request, problem)
    messages.success(request, f"{row.user.email} is {_article(changed.row.role)} now.")
    return redirect("people", slug=request.customer.slug)


@customer_page("member.change", change="member.change")
def remove(request: CustomerRequest, pk: int) -> HttpResponse:
    """Ask, then take a member out."""
    row = _member(request, pk)
    if request.method != "POST":
        return render(request, "tenants/people/remove.html", {"member": row, "customer": request.customer})
    try:
        services.member_remove(membership=row, by=_by(request))
    except ProblemError as problem:
        return _problem_response(request, problem)
    messages.success(request, f"{row.user.email} is no member any more.")
    if row.user_id == request.user.pk:
        return redirect("account-customers")
    return redirect("people", slug=request.customer.slug)


@customer_page("see", change="see")
def leave(request: CustomerRequest) -> HttpResponse:
    """Ask, then leave the customer."""
    if request.method != "POST":
        return render(request, "tenants/people/leave.html", {"customer": request.customer})
    try:
        services.member_leave(membership=_by(request))
    except ProblemError as problem:
        return _problem_response(request, problem)
    messages.success(request, f"You are no member of {request.customer.name} any more.")
    return redirect("account-customers")


def _page(request: CustomerRequest, form: InviteForm) -> HttpResponse:
    context: dict[str, Any] = {
        "customer": request.customer,
        "members": found.members_of(request.customer),
        "invitations": [(row, found.is_open(row)) for row in found.invitations_of(request.customer)],
        "form": form,
        "roles": roles(owner=request.may("owner.change")),
        "may_change_members": request.may("member.change"),
        "may_change_owners": request.may("owner.change"),
        "may_invite": request.may("invitation.change"),
        "may_leave": request.membership is not None,
    }
    return render(request, "tenants/people/people.html", context)


def _sent(request: CustomerRequest, made: services.NewInvitation) -> HttpResponse:
    transaction.on_commit(lambda: _send(request, made))
    return redirect("people", slug=request.customer.slug)


def _send(request: CustomerRequest, made: services.NewInvitation) -> None:
    """Send the e-mail, now that the row is committed, and say on the next page what became of it."""
    try:
        services.invitation_send(made=made)
    except MailError as problem:
        text = f"{made.row.email} is invited, but {problem}. Choose Send again once that is mended."
        messages.error(request, text)
    else:
        messages.success(request, f"An invitation is on its way to {made.row.email}. It is good for 7 days.")


def _problem_response(request: CustomerRequest, problem: ProblemError) -> HttpResponse:
    messages.error(request, problem.sentence)
    return redirect("people", slug=request.customer.slug)


def _by(request: CustomerRequest) -> Membership:
    """Who changes something: always a member. Staff, who may only look, are stopped by customer_page."""
    if request.membership is None:
        raise PermissionDenied
    return request.membership


def _member(request: CustomerRequest, pk: int) -> Membership:
    return get_object_or_404(found.members_of(request.customer).select_related("customer"), pk=pk)


def _invitation(request: CustomerRequest, pk: int) -> Invitation:
    return get_object_or_404(found.invitations_of(request.customer).select_related("customer"), pk=pk)


def _article(role: str) -> str:
    return f"a {role}" if role == Role.VIEWER else f"an {role}"
