"""The forms by which staff draft an invoice by hand and enter who is billed."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.utils import timezone

from billing.invoices import drafting, profiles
from billing.invoices.countries import NAMES
from billing.invoices.document import Line
from billing.models import BillingProfile, InvoiceDraft
from billing.money import CURRENCIES
from tenants.admin import ServiceForm
from tenants.problem import ProblemError


class DraftForm(ServiceForm):
    """A draft by hand: what is on it, a line each."""

    currency = forms.ChoiceField(choices=[(each, each) for each in CURRENCIES])
    lines_text = forms.CharField(
        label="Lines",
        max_length=10_000,
        widget=forms.Textarea({"rows": 4, "cols": 80}),
        help_text="One a line: text | quantity | price of one, before tax. Example: Onboarding | 1 | 1200.00",
    )

    class Meta:
        model = InvoiceDraft
        fields = ("customer", "currency", "payment_days")

    def apply(self, given: dict[str, Any]) -> InvoiceDraft:
        """Make it."""
        lines = [parsed(line) for line in given["lines_text"].splitlines() if line.strip()]
        return drafting.make(
            given["customer"],
            currency=given["currency"],
            lines=lines,
            now=timezone.now(),
            payment_days=given["payment_days"],
        )


class ProfileForm(ServiceForm):
    """Who is billed."""

    country = forms.ChoiceField(
        choices=[(code, name) for name, code in sorted((name, code) for code, name in NAMES.items())]
    )

    class Meta:
        model = BillingProfile
        fields = ("customer", "name", "address", "postcode", "city", "country", "vat_id", "reference", "emails")
        widgets = {"address": forms.Textarea({"rows": 2})}  # noqa: RUF012

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["emails"].required = False

    def apply(self, given: dict[str, Any]) -> BillingProfile:
        """Change it."""
        customer = self.instance.customer if self.instance.pk else given["customer"]
        values = {name: given[name] for name in self.Meta.fields if name != "customer"}
        return profiles.change(customer=customer, **values).row


def parsed(line: str) -> Line:
    """A line as it is typed: text | quantity | price. Raises ProblemError, which quotes it."""
    parts = [part.strip() for part in line.split("|")]
    try:
        words, quantity, price = parts[0], Decimal(parts[1]), Decimal(parts[2]) * 100
    except (IndexError, InvalidOperation) as error:
        raise ProblemError(f"{line[:60]!r} is no line of the form: text | quantity | price") from error
    if len(parts) > 3 or not (quantity.is_finite() and price.is_finite()) or price != price.to_integral_value():
        raise ProblemError(f"{line[:60]!r}: a price has at most two decimals, and nothing comes after it")
    return Line(words, int(price), quantity)
