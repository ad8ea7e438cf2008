"""The form of who is billed."""

from typing import Any, Final

from django import forms

from billing.invoices.countries import NAMES
from billing.models import BillingProfile
from tenants.pages.forms import LinesField

_FIELDS: Final = ("name", "address", "postcode", "city", "country", "vat_id", "reference")


class BillingForm(forms.Form):
    """Name, address, VAT id, and who gets documents by e-mail."""

    name = forms.CharField(max_length=200, label="Company", widget=forms.TextInput({"autocomplete": "organization"}))
    address = forms.CharField(
        max_length=300, label="Address", widget=forms.Textarea({"rows": 2, "autocomplete": "street-address"})
    )
    postcode = forms.CharField(
        max_length=20, required=False, label="Postcode", widget=forms.TextInput({"autocomplete": "postal-code"})
    )
    city = forms.CharField(max_length=100, label="City", widget=forms.TextInput({"autocomplete": "address-level2"}))
    country = forms.ChoiceField(
        label="Country", choices=[("", "Choose a country"), *sorted(NAMES.items(), key=lambda each: each[1])]
    )
    vat_id = forms.CharField(
        max_length=40,
        required=False,
        label="VAT id",
        help_text="With it, businesses in other countries of the EU get invoices without VAT (reverse charge).",
    )
    reference = forms.CharField(
        max_length=100,
        required=False,
        label="Your reference",
        help_text="Stands on each invoice, such as a purchase order.",
    )
    emails = LinesField(
        rows=3,
        label="Who gets invoices by e-mail",
        help_text="One address a line. They get the link; to open it they have to be owners or admins here.",
    )

    @staticmethod
    def values(profile: BillingProfile | None) -> dict[str, Any]:
        """What the form shows at first."""
        if profile is None:
            return {}
        return {**{name: getattr(profile, name) for name in _FIELDS}, "emails": "\n".join(profile.emails)}
