"""Invoices and what is paid: drafts, issued documents with their files, the ledger of amounts, and who is billed.

What the law keeps (documents, their files, the ledger) points at its customer by number alone, because it outlives it,
and the database refuses to change or delete it (migration 0007).
"""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models

from billing.money import text
from tenants.fence import Paths, TenantModel
from tenants.models import Customer


class DocumentKind(models.TextChoices):
    """Kinds of documents; each has a series of numbers of its own."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note", "credit note"
    STATEMENT = "statement"


class BillingProfile(TenantModel):
    """Who is billed: name and address as they stand on the next document, and who gets it by e-mail."""

    paths = Paths("customer_id")

    customer = models.OneToOneField(Customer, models.PROTECT, related_name="billing_profile")
    name = models.CharField(max_length=200)
    address = models.CharField(max_length=300, help_text="Street and number; lines are kept.")
    postcode = models.CharField(max_length=20, blank=True)
    city = models.CharField(max_length=100)
    country = models.CharField(max_length=2, help_text="ISO 3166: DE, US, ...")
    vat_id = models.CharField(max_length=20, blank=True)
    reference = models.CharField(max_length=100, blank=True, help_text="What the customer wants to read on it.")
    emails = ArrayField(models.EmailField(), default=list)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name


class InvoiceCounter(models.Model):
    """The last number of a series in a year; it is counted up by one inside of the transaction that issues."""

    series = models.CharField(max_length=3)
    year = models.PositiveSmallIntegerField()
    last = models.PositiveIntegerField(default=0)
    last_on = models.DateField(help_text="The date of the last document: numbers and dates go up together.")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("series", "year"), name="billing_counter_once"),)

    def __str__(self) -> str:
        return f"{self.series}-{self.year}-{self.last:05d}"


class InvoiceDraft(TenantModel):
    """A document that is yet to be issued. `lines` are computed anew each day; `extra` are entered and stay."""

    paths = Paths("customer_id")

    customer = models.ForeignKey(Customer, models.PROTECT, related_name="invoice_drafts")
    kind = models.CharField(max_length=11, choices=DocumentKind, default=DocumentKind.INVOICE)
    subscription_id = models.BigIntegerField(null=True)
    ready_on = models.DateField(help_text="The day from which it can be issued: nothing in it changes from then on.")
    currency = models.CharField(max_length=3)
    payment_days = models.PositiveSmallIntegerField(default=30)
    lines = models.JSONField(default=list)
    extra = models.JSONField(default=list)
    computed_at = models.DateTimeField()

    class Meta:
        ordering = ("ready_on", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("customer", "kind", "subscription_id", "ready_on"),
                name="billing_draft_once",
                condition=models.Q(subscription_id__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"Draft {self.get_kind_display()} for {self.ready_on}"


class Invoice(TenantModel):
    """An issued document. `document` is all that stands on it (billing.invoices.document.Document), for ever."""

    paths = Paths("customer_id")

    kind = models.CharField(max_length=11, choices=DocumentKind)
    series = models.CharField(max_length=3)
    year = models.PositiveSmallIntegerField()
    sequence = models.PositiveIntegerField()
    number = models.CharField(max_length=20, unique=True)
    customer_id = models.BigIntegerField()
    customer_name = models.CharField(max_length=200)
    subscription_id = models.BigIntegerField(null=True)
    step_on = models.DateField(null=True, help_text="The draft's `ready_on`, by which it is not drafted again.")
    issued_at = models.DateTimeField()
    due_on = models.DateField(null=True)
    currency = models.CharField(max_length=3)
    net_minor = models.BigIntegerField()
    tax_minor = models.BigIntegerField()
    gross_minor = models.BigIntegerField()
    corrects = models.ForeignKey("self", models.PROTECT, null=True, related_name="credit_notes")
    document = models.JSONField()

    class Meta:
        ordering = ("-issued_at", "-id")
        indexes = (models.Index(fields=("customer_id", "-issued_at"), name="billing_invoice_by_customer"),)
        constraints = (
            models.UniqueConstraint(fields=("series", "year", "sequence"), name="billing_invoice_gapless"),
            models.UniqueConstraint(
                fields=("customer_id", "kind", "subscription_id", "step_on"),
                name="billing_invoice_once",
                condition=models.Q(subscription_id__isnull=False, step_on__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return self.number

    @property
    def total(self) -> str:
        """What it comes to, in words."""
        return text(self.gross_minor, self.currency)


class InvoiceFile(TenantModel):
    """The PDF of a document, made once: whoever downloads it gets these bytes."""

    paths = Paths("invoice__customer_id")

    invoice = models.OneToOneField(Invoice, models.PROTECT, related_name="file")
    content = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    e_invoice = models.BooleanField(help_text="Whether it carries an e-invoice (Factur-X) and is a PDF/A-3.")

    def __str__(self) -> str:
        return f"{self.invoice}.pdf"


class LedgerEntry(TenantModel):
    """One amount of a customer's ledger, to which entries are only added. Balances are sums of it.

    Entries of one act share `batch`. `account`: an invoice (what counts towards it), the customer's balance (money that
    we hold), or its SLA credit (a price reduction that is yet to be used, by the month that it is for).
    """

    class Account(models.TextChoices):
        """What a sum is taken over."""

        INVOICE = "invoice"
        BALANCE = "balance"
        CREDIT = "credit"

    class Kind(models.TextChoices):
        """Why an amount moved."""

        PAYMENT = "payment"
        REFUND = "refund"
        CREDIT_NOTE = "credit_note", "credit note"
        BALANCE = "balance", "paid out of the balance"
        SLA_CREDIT = "sla_credit", "SLA credit"
        SLA_CREDIT_USED = "sla_credit_used", "SLA credit used"
        EXCHANGE = "exchange", "SLA credit in another currency"

    paths = Paths("customer_id")

    batch = models.UUIDField(default=uuid.uuid4)
    at = models.DateTimeField()
    customer_id = models.BigIntegerField()
    account = models.CharField(max_length=7, choices=Account)
    kind = models.CharField(max_length=15, choices=Kind)
    currency = models.CharField(max_length=3)
    amount_minor = models.BigIntegerField()
    invoice = models.ForeignKey(Invoice, models.PROTECT, null=True, related_name="entries")
    month = models.DateField(null=True, help_text="The first day of the month that an SLA credit is for.")
    percent = models.PositiveSmallIntegerField(null=True)
    root = models.CharField(max_length=64, blank=True, help_text="The month's last root of the SLA's ledger.")
    provider = models.CharField(max_length=16, blank=True)
    reference = models.CharField(max_length=140, blank=True)
    note = models.CharField(max_length=300, blank=True)
    actor = models.CharField(max_length=254)

    class Meta:
        ordering = ("-at", "-id")
        verbose_name_plural = "ledger entries"
        indexes = (models.Index(fields=("customer_id", "account"), name="billing_ledger_by_customer"),)
        constraints = (
            models.CheckConstraint(condition=~models.Q(amount_minor=0), name="billing_ledger_some_amount"),
            models.CheckConstraint(
                condition=~models.Q(account="invoice") | models.Q(invoice__isnull=False),
                name="billing_ledger_names_invoice",
            ),
            models.CheckConstraint(
                condition=~models.Q(account="credit") | models.Q(month__isnull=False), name="billing_ledger_names_month"
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {text(self.amount_minor, self.currency)}"


class InvoiceMail(TenantModel):
    """That a document was mailed to an address, or a reminder of it, so that each is mailed once."""

    paths = Paths("invoice__customer_id")

    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="mails")
    address = models.EmailField()
    days = models.PositiveSmallIntegerField(
        default=0, help_text="Of a reminder: days after the due date. 0: it was issued."
    )
    sent_at = models.DateTimeField()

    class Meta:
        ordering = ("sent_at", "id")
        constraints = (models.UniqueConstraint(fields=("invoice", "address", "days"), name="billing_mailed_once"),)

    def __str__(self) -> str:
        return f"{self.invoice} to {self.address}"
