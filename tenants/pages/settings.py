"""The page of a customer's settings: /c/<slug>/settings/..."""

from collections.abc import Callable
from typing import Any

from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import redirect, render

from tenants import services
from tenants.pages.door import CustomerRequest, customer_page
from tenants.pages.forms import saved
from tenants.pages.settings_forms import ContactsForm, ContentForm, NameForm


@customer_page("settings.see")
def settings(request: CustomerRequest) -> HttpResponse:
    """All of them."""
    return _page(request)


@customer_page("settings.change", methods=("POST",))
def name(request: CustomerRequest) -> HttpResponse:
    """Change the customer's name."""
    form = NameForm(request.POST)
    return _done(
        request, form, lambda: services.customer_rename(customer=request.customer, name=form.cleaned_data["name"])
    )


@customer_page("settings.change", methods=("POST",))
def content(request: CustomerRequest) -> HttpResponse:
    """Change what of a push's text goes to Apple and Google."""
    form = ContentForm(request.POST)
    return _done(
        request,
        form,
        lambda: services.customer_content(customer=request.customer, content=form.cleaned_data["content"]),
    )


@customer_page("settings.change", methods=("POST",))
def contacts(request: CustomerRequest) -> HttpResponse:
    """Change who is written to."""
    form = ContactsForm(request.POST)
    return _done(
        request,
        form,
        lambda: services.customer_contacts(customer=request.customer, contacts=form.cleaned_data["contacts"]),
    )


def _page(request: CustomerRequest, filled: Form | None = None) -> HttpResponse:
    """The page; `filled` is the form that somebody has filled in wrongly."""
    customer = request.customer
    forms: dict[str, Form] = {
        "name_form": NameForm(initial={"name": customer.name}),
        "content_form": ContentForm(initial={"content": customer.content}),
        "contacts_form": ContactsForm(initial={"contacts": "\n".join(customer.contacts)}),
    }
    for which, form in forms.items():
        if type(form) is type(filled):
            forms[which] = filled
    return render(request, "tenants/settings.html", forms)


def _done(request: CustomerRequest, form: Form, change: Callable[[], services.Changed[Any]]) -> HttpResponse:
    if saved(request, form, change):
        return redirect("settings", request.customer.slug)
    return _page(request, form)
