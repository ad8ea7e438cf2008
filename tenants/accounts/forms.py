"""The forms about one's own account."""

from typing import Any

from allauth.account import forms as account_forms
from allauth.account.adapter import get_adapter
from allauth.account.forms import SignupForm as BaseSignupForm
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.base import forms as mfa_forms
from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from tenants import scope, services
from tenants.accounts import invitation_session
from tenants.audit import actors, recording
from tenants.changes import normalised_name
from tenants.problem import ProblemError


class SavesNothing(forms.Form):
    """A form that only asks who somebody is: after a wrong password nobody is told that nothing was saved."""

    saves_nothing = True


class LoginForm(SavesNothing, account_forms.LoginForm):  # type: ignore[misc]
    """E-mail address and password."""


class ResetPasswordForm(SavesNothing, account_forms.ResetPasswordForm):  # type: ignore[misc]
    """The address that the link is sent to."""


class ReauthenticateForm(SavesNothing, account_forms.ReauthenticateForm):  # type: ignore[misc]
    """The password once more."""


class FactorForm(SavesNothing, mfa_forms.AuthenticateForm):  # type: ignore[misc]
    """The second factor's code."""


class FactorAgainForm(SavesNothing, mfa_forms.ReauthenticateForm):  # type: ignore[misc]
    """The same once more."""


def clean_name(name: str) -> str:
    """A person's name as it is kept. Raises ValidationError for one that would break lines."""
    try:
        return normalised_name(name, "person")
    except ProblemError as problem:
        raise forms.ValidationError(problem.sentence) from problem


class SignupForm(BaseSignupForm):  # type: ignore[misc]
    """A new account for the address that was invited, and no other."""

    first_name = forms.CharField(
        label="Your name", max_length=150, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    field_order = ("email", "first_name", "password1", "password2")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Raises PermissionDenied without an invitation; the view has asked before."""
        super().__init__(*args, **kwargs)
        invitation = invitation_session.invited(context.request)
        if invitation is None:
            raise PermissionDenied
        self.invitation = invitation
        # A disabled field takes nothing from what is sent, and `initial` could come from the address of the page.
        self.fields["email"].disabled = True
        self.initial["email"] = invitation.email

    def clean_first_name(self) -> str:
        """On one line."""
        return clean_name(self.cleaned_data["first_name"])

    def save(self, request: HttpRequest) -> User:
        """The account with its verified address, and the membership: all of it or nothing."""
        get_adapter().stash_verified_email(request, self.invitation.email)
        try:
            with transaction.atomic():
                user: User = super().save(request)
                digest = bytes(self.invitation.digest)
                with scope.invitation(digest, user.pk), recording.acting(actors.of(request, user)):
                    recording.record("account.sign_up", customer=None, target=user.email, target_id=user.pk)
                    services.invitation_accept(invitation=self.invitation, user=user)
        except ProblemError as problem:
            messages.error(request, problem.sentence)
            raise ImmediateHttpResponse(HttpResponseRedirect(reverse("invitation"))) from problem
        except IntegrityError as error:
            # The form was sent twice, and the other one was quicker.
            messages.error(request, "There is an account of this address already: log in with it.")
            raise ImmediateHttpResponse(HttpResponseRedirect(reverse("account_login"))) from error
        invitation_session.forget(request)
        return user


class ProfileForm(forms.Form):
    """What others see of a person."""

    name = forms.CharField(
        label="Your name",
        max_length=150,
        help_text="The other members of your customers see it.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )

    def clean_name(self) -> str:
        """On one line."""
        return clean_name(self.cleaned_data["name"])
