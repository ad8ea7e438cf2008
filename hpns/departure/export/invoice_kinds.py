"""What of invoices is in a customer's export: file, description, model, and fields with their meaning."""

import base64
from typing import Any, Final

from billing.models import BillingProfile, Invoice, InvoiceDraft, InvoiceFile, InvoiceMail, LedgerEntry
from hpns.departure.export.schema import ID, Field, Kind


def _base64(content: Any) -> str:
    return base64.b64encode(bytes(content)).decode()


INVOICES: Final = (
    Kind(
        "billing.jsonl",
        "Who is billed: one line.",
        BillingProfile,
        "customer_id",
        (
            Field("name", "the company"),
            Field("address", "street and number"),
            Field("postcode", "the postcode"),
            Field("city", "the city"),
            Field("country", "its code of two letters (ISO 3166)"),
            Field("vat_id", "the VAT id"),
            Field("reference", "your reference, which stands on documents"),
            Field("emails", "who gets documents by e-mail"),
            Field("updated_at", "when it last changed"),
        ),
    ),
    Kind(
        "invoice_drafts.jsonl",
        "What is not yet issued, as it was computed last.",
        InvoiceDraft,
        "customer_id",
        (
            ID,
            Field("kind", "invoice or statement"),
            Field("subscription_id", "the subscription that it follows from"),
            Field("ready_on", "the day from which it can be issued"),
            Field("currency", "the currency (ISO 4217)"),
            Field("payment_days", "days from the issue to the due date"),
            Field("lines", "what was computed; amounts are in minor units, such as cents"),
            Field("extra", "what was entered by hand"),
            Field("computed_at", "when it was computed last"),
        ),
    ),
    Kind(
        "invoices.jsonl",
        "Invoices, credit notes and statements. They stay with the operator when you are erased: the law wants it.",
        Invoice,
        "customer_id",
        (
            ID,
            Field("number", "the number"),
            Field("kind", "invoice, credit_note or statement"),
            Field("series", "its series of numbers"),
            Field("year", "its year of the series"),
            Field("sequence", "its number in that year"),
            Field("customer_name", "who was billed"),
            Field("subscription_id", "the subscription that it follows from"),
            Field("step_on", "the day of the subscription that it bills"),
            Field("issued_at", "when it was issued"),
            Field("due_on", "until when it is to be paid"),
            Field("currency", "the currency (ISO 4217)"),
            Field("net_minor", "before tax, in minor units"),
            Field("tax_minor", "the tax, in minor units"),
            Field("gross_minor", "the total, in minor units"),
            Field("corrects_id", "the invoice that a credit note corrects, by its id"),
            Field("document", "all that stands on it"),
        ),
    ),
    Kind(
        "invoice_pdfs.jsonl",
        "The PDF of each document, in base64. They stay with the operator, too.",
        InvoiceFile,
        "invoice__customer_id",
        (
            Field("invoice_id", "the document, by its id in invoices.jsonl"),
            Field("content", "the PDF, in base64", convert=_base64),
            Field("sha256", "its SHA-256"),
            Field("e_invoice", "whether it carries an e-invoice (Factur-X)"),
        ),
    ),
    Kind(
        "payments.jsonl",
        "The ledger: payments, refunds, credit notes and SLA credits, the amounts of which add up to what is open and "
        "to your balance. It stays with the operator, too.",
        LedgerEntry,
        "customer_id",
        (
            ID,
            Field("batch", "entries of one act share it"),
            Field("at", "when it was entered"),
            Field("account", "invoice, balance or credit: what it is added to"),
            Field("kind", "why"),
            Field("currency", "the currency (ISO 4217)"),
            Field("amount_minor", "the amount in minor units"),
            Field("invoice_id", "the document, by its id in invoices.jsonl"),
            Field("month", "the month that an SLA credit is for: its first day"),
            Field("percent", "of the month's fee"),
            Field("root", "the last root of that month of the SLA's ledger"),
            Field("provider", "how it was paid"),
            Field("reference", "the bank's reference"),
            Field("note", "a note"),
            Field("actor", "who entered it"),
        ),
    ),
    Kind(
        "invoice_mails.jsonl",
        "To whom documents and reminders were mailed.",
        InvoiceMail,
        "invoice__customer_id",
        (
            Field("invoice_id", "the document, by its id in invoices.jsonl"),
            Field("address", "to whom"),
            Field("days", "of a reminder: days after the due date; 0: it was issued"),
            Field("sent_at", "when"),
        ),
    ),
)
