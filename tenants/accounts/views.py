"""The pages about oneself: name, sessions, customers. Passwords and second factors are django-allauth's pages."""

from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tenants import people
from tenants.accounts.forms import ProfileForm
from tenants.accounts.mfa import mfa_passed
from tenants.accounts.second_factor_views import WANTED, PersonRequest
from tenants.audit import actors, recording


@require_safe
@login_required
@never_cache
def start(request: PersonRequest) -> HttpResponse:
    """Redirect after the login: to the one customer, or to a choice of several."""
    if mfa_passed(request) and (wanted := request.session.pop(WANTED, None)):
        return redirect(wanted)
    mine = people.memberships_of(request.user)
    if len(mine) == 1:
        return redirect("customer", slug=mine[0].customer.slug)
    if not mine and request.user.is_staff:
        return redirect("admin:index")
    return redirect("account-customers")


@require_safe
@login_required
@never_cache
def customers(request: PersonRequest) -> HttpResponse:
    """One's customers, to choose from."""
    return render(request, "tenants/account/customers.html", {"memberships": people.memberships_of(request.user)})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def profile(request: PersonRequest) -> HttpResponse:
    """The page of one's name, with links to all else."""
    form = ProfileForm(request.POST or None, initial={"name": request.user.first_name})
    if request.method == "POST" and form.is_valid():
        before, request.user.first_name = request.user.first_name, form.cleaned_data["name"]
        request.user.save(update_fields=("first_name",))
        with recording.acting(actors.of(request)):
            recording.record(
                "account.rename",
                customer=None,
                target=request.user.email,
                target_id=request.user.pk,
                before=before,
                after=request.user.first_name,
            )
        messages.success(request, "Your name is saved.")
        return redirect("account")
    context = {"form": form, "memberships": people.memberships_of(request.user)}
    return render(request, "tenants/account/profile.html", context)


@require_POST
@login_required
def end_session(request: PersonRequest, pk: int) -> HttpResponse:
    """End one of one's sessions."""
    session = get_object_or_404(UserSession, user=request.user, pk=pk)
    if session.is_current():
        return redirect(reverse("account_logout"))
    session.end()
    with recording.acting(actors.of(request)):
        recording.record("account.end_session", customer=None, target=request.user.email, target_id=request.user.pk)
    messages.success(request, "The session is ended.")
    return redirect("usersessions_list")
