"""What staff do about an issued invoice, as forms: each says what will happen, and then does it."""

import hashlib
from decimal import Decimal
from typing import Any, ClassVar, Final

from django import forms
from django.utils import timezone

from billing.invoices import converting, issuing, ledger, payments
from billing.models import Invoice
from billing.money import CURRENCIES, text
from tenants.models import Customer
from tenants.problem import ProblemError

_LARGEST: Final = Decimal(10**10)


class Act(forms.Form):
    """A form about one invoice. `will_happen` is set once it is valid: what do() is about to do, in words."""

    title: ClassVar[str]
    button: ClassVar[str]
    permission: ClassVar[str]

    amount = forms.DecimalField(max_digits=14, decimal_places=2, max_value=_LARGEST)

    def __init__(self, *args: Any, row: Invoice, **kwargs: Any) -> None:
        """`row`: the invoice."""
        super().__init__(*args, **kwargs)
        self.row, self.will_happen = row, ""

    @property
    def amount_minor(self) -> int:
        """The amount in minor units."""
        return int(self.cleaned_data["amount"] * 100)

    @property
    def shown_as(self) -> str:
        """What was shown, in short: what is confirmed is this and nothing that was typed since."""
        return hashlib.sha256(repr((sorted(self.cleaned_data.items()), self.will_happen)).encode()).hexdigest()

    def clean(self) -> dict[str, Any]:
        """What stands in the way is an error of its field."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.will_happen = self.preview(given)
            except ProblemError as problem:
                self._refuse(problem)
        return given

    def do(self) -> str:
        """Do it; what was done, or nothing where it could not be, which is an error of the form."""
        try:
            return self.apply(self.cleaned_data)
        except ProblemError as problem:
            self._refuse(problem)
            return ""

    def preview(self, given: dict[str, Any]) -> str:
        """What would happen. Raises ProblemError."""
        raise NotImplementedError

    def apply(self, given: dict[str, Any]) -> str:
        """Do it. Raises ProblemError."""
        raise NotImplementedError

    def _refuse(self, problem: ProblemError) -> None:
        self.add_error(problem.field if problem.field in self.fields else None, problem.sentence)


class PaymentForm(Act):
    """A payment that arrived; at first all that is open."""

    title, button, permission = "Enter a payment", "Enter this payment", "billing.add_ledgerentry"

    currency = forms.ChoiceField(choices=[(each, each) for each in CURRENCIES])
    reference = forms.CharField(max_length=140, help_text="The bank's, by which it is entered once.")
    note = forms.CharField(max_length=300, required=False)

    def __init__(self, *args: Any, row: Invoice, **kwargs: Any) -> None:
        """See Act."""
        super().__init__(*args, row=row, **kwargs)
        self.fields["amount"].initial = Decimal(ledger.open_minor(row)).scaleb(-2)
        self.fields["currency"].initial = row.currency

    def preview(self, given: dict[str, Any]) -> str:
        """See Act."""
        return payments.preview(self.row, amount_minor=self.amount_minor, currency=given["currency"]).sentence

    def apply(self, given: dict[str, Any]) -> str:
        """See Act."""
        done = payments.record(self.row, amount_minor=self.amount_minor, now=timezone.now(), **{
            name: given[name] for name in ("currency", "reference", "note")
        })  # fmt: skip
        return f"The payment was entered: {done.sentence}"


class CreditForm(Act):
    """A credit note; at first of all that is left."""

    title, button, permission = "Issue a credit note", "Issue this credit note for good", "billing.add_invoice"

    reason = forms.CharField(max_length=200, help_text="Stands on the credit note.")

    def __init__(self, *args: Any, row: Invoice, **kwargs: Any) -> None:
        """See Act."""
        super().__init__(*args, row=row, **kwargs)
        self.fields["amount"].help_text = "Before tax."
        self.fields["amount"].initial = Decimal(issuing.creditable_minor(row)).scaleb(-2)

    def preview(self, given: dict[str, Any]) -> str:
        """See Act."""
        made = issuing.credit_preview(self.row, net_minor=self.amount_minor, reason=given["reason"], now=timezone.now())
        counted = min(ledger.open_minor(self.row), made.gross_minor)
        return (
            f"A credit note of {text(made.gross_minor, made.currency)} ({text(made.net_minor, made.currency)} and "
            f"{text(made.tax_minor, made.currency)} VAT) is issued for {made.buyer.name}: "
            f"{text(counted, made.currency)} count towards {self.row.number}, "
            f"{text(made.gross_minor - counted, made.currency)} go to the balance. It cannot be taken back."
        )

    def apply(self, given: dict[str, Any]) -> str:
        """See Act."""
        note = issuing.credit(self.row, reason=given["reason"], now=timezone.now(), net_minor=self.amount_minor)
        return f"{note.number} was issued: {note.total}."


class RefundForm(Act):
    """Money of the balance that was paid back."""

    title, button, permission = "Enter a refund of the balance", "Enter this refund", "billing.add_ledgerentry"

    reference = forms.CharField(max_length=140, help_text="The bank's, by which it is entered once.")
    note = forms.CharField(max_length=300, required=False)

    def __init__(self, *args: Any, row: Invoice, **kwargs: Any) -> None:
        """See Act."""
        super().__init__(*args, row=row, **kwargs)
        self.fields["amount"].initial = Decimal(ledger.balance_minor(row.customer_id, row.currency)).scaleb(-2)
        self.fields["amount"].help_text = f"In {row.currency}; what was paid too much or credited is the balance."

    def preview(self, given: dict[str, Any]) -> str:
        """See Act."""
        held = ledger.balance_minor(self.row.customer_id, self.row.currency)
        left = payments.check_refund(held, self.amount_minor, self.row.currency)
        amounts = (text(each, self.row.currency) for each in (self.amount_minor, left))
        return "{} were paid back; {} of the balance stay.".format(*amounts)

    def apply(self, given: dict[str, Any]) -> str:
        """See Act."""
        customer = Customer.objects.filter(pk=self.row.customer_id).first()
        if customer is None:
            raise ProblemError("this customer was erased: enter the refund in your books alone")
        left = payments.refund(
            customer,
            amount_minor=self.amount_minor,
            currency=self.row.currency,
            reference=given["reference"],
            note=given["note"],
            now=timezone.now(),
        )
        return f"The refund was entered; the balance is {text(left, self.row.currency)}."


class ExchangeForm(Act):
    """SLA credit in another currency than the customer's invoices, which becomes credit in this one's."""

    title, button, permission = "Use SLA credit of another currency", "Exchange this credit", "billing.add_ledgerentry"

    amount = None  # type: ignore[assignment]
    source = forms.ChoiceField(label="Credit in")
    rate = forms.DecimalField(max_digits=10, decimal_places=6, max_value=converting.LARGEST_RATE)
    reason = forms.CharField(max_length=200, help_text="Why, and where the rate is from. It stands in the audit log.")

    def __init__(self, *args: Any, row: Invoice, **kwargs: Any) -> None:
        """See Act."""
        super().__init__(*args, row=row, **kwargs)
        self.fields["rate"].help_text = f"How much {row.currency} for 1 of the other currency, such as 0.9312."
        others = [each for each in CURRENCIES if each != row.currency]
        left = {each: ledger.credit_minor(row.customer_id, each) for each in others}
        told = ", ".join(text(minor, each) for each, minor in left.items() if minor)
        self.fields["source"].choices = [(each, each) for each in others]  # type: ignore[attr-defined]
        self.fields["source"].initial = next((each for each, minor in left.items() if minor), None)
        self.fields["source"].help_text = f"What is left: {told or 'nothing in another currency'}."

    def preview(self, given: dict[str, Any]) -> str:
        """See Act."""
        return converting.preview(
            self.row.customer_id, source=given["source"], target=self.row.currency, rate=given["rate"]
        ).sentence

    def apply(self, given: dict[str, Any]) -> str:
        """See Act."""
        customer = Customer.objects.filter(pk=self.row.customer_id).first()
        if customer is None:
            raise ProblemError("this customer was erased: nothing is invoiced any more")
        done = converting.convert(customer, target=self.row.currency, now=timezone.now(), **{
            name: given[name] for name in ("source", "rate", "reason")
        })  # fmt: skip
        return f"The credit was exchanged: {done.sentence}"


ACTS: Final[dict[str, type[Act]]] = {
    "payment": PaymentForm,
    "credit": CreditForm,
    "refund": RefundForm,
    "exchange": ExchangeForm,
}
