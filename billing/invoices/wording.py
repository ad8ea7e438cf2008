"""What stands on a document, in words and in order; the PDF and the page say the same. Pure."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Final

from billing import money
from billing.invoices.composing import spanned
from billing.invoices.countries import NAMES
from billing.invoices.document import Document, Line, Party
from billing.invoices.providers import PROVIDERS, grouped

COLUMNS: Final = ("Description", "Quantity", "Price", "Amount")


def day(value: date) -> str:
    """A date in words: "30 Nov 2026"."""
    return f"{value.day} {value:%b %Y}"


def number(value: Decimal) -> str:
    """A quantity or rate without zeros at its end: "19", "2.5"."""
    plain = f"{value:,f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def address(party: Party) -> list[str]:
    """A party as an envelope names it."""
    place = " ".join(filter(None, (party.postcode, party.city)))
    return [line for line in (party.name, *party.address.splitlines(), place, NAMES.get(party.country, "")) if line]


def facts(document: Document) -> list[tuple[str, str]]:
    """Labels and values: number, dates, references."""
    period = document.period
    rows = [
        ("Number", document.number),
        ("Date", day(document.issued_on)),
        ("Due", day(document.due_on) if document.due_on else ""),
        ("Period", spanned(*period) if period else ""),
        ("Corrects", f"{document.corrects} of {day(document.corrects_on)}" if document.corrects_on else ""),
        ("Customer", document.customer),
        ("Your reference", document.buyer.reference),
        ("Your VAT id", document.buyer.vat_id),
    ]
    return [(label, value) for label, value in rows if value]


def intro(document: Document) -> str:
    """The sentence below the title."""
    if document.kind == "credit_note" and document.corrects_on:
        return f"For invoice {document.corrects} of {day(document.corrects_on)}. {document.reason}"
    if document.kind == "statement":
        return (
            "This is not an invoice: the service is included in your Mattermost licence, and there is nothing to pay."
        )
    return ""


def cells(line: Line, currency: str) -> tuple[str, str, str, str]:
    """A line of the table, as COLUMNS."""
    about = [line.text, spanned(line.start, line.end) if line.start and line.end else "", line.detail]
    price = money.text(line.unit_minor, currency)
    return "\n".join(filter(None, about)), number(line.quantity), price, money.text(line.amount_minor, currency)


def sums(document: Document) -> list[tuple[str, int, bool]]:
    """Label, minor units, and whether it is the total."""
    if document.kind == "statement":
        rows = [("Total", document.net_minor, True), ("SLA credit", document.credit_minor, False)]
        return [*rows, ("Balance", document.balance_minor, False)] if document.balance_minor else rows
    taxes = [
        (
            f"VAT {number(tax.rate)} % on {money.text(tax.net_minor, document.currency)}" if tax.rate else "VAT (none)",
            tax.tax_minor,
            False,
        )
        for tax in document.taxes
    ]
    return [("Net amount", document.net_minor, False), *taxes, ("Total", document.gross_minor, True)]


def notes(document: Document) -> list[str]:
    """Sentences below the totals."""
    found = [tax.reason for tax in document.taxes if tax.reason]
    if document.kind == "credit_note":
        found.append("The amount counts towards the invoice as far as that is open; the rest is kept as your balance.")
    if document.kind == "statement" and document.credit_minor:
        found.append(
            "Your SLA credit is used against stand-alone fees of this service by itself; you need not ask for it."
        )
    for line in document.lines:
        if line.root:
            found.append(f"Last root of the SLA's ledger for {line.month}: {line.root}")
    found += [f"Last root of the SLA's ledger for {month}: {root}" for month, root in document.roots]
    return [*found, document.footer] if document.footer else found


def pay_until(document: Document, open_minor: int | None = None) -> str:
    """How much is to be paid until when; `open_minor`: what is left of it by now, if that is known."""
    if document.due_on is None:
        return ""
    amount = document.gross_minor if open_minor is None else open_minor
    return f"Pay {money.text(amount, document.currency)} by {day(document.due_on)}"


def payment(document: Document) -> list[tuple[str, str]]:
    """How to pay: labels and values; none where nothing is to be paid."""
    if document.kind != "invoice" or document.gross_minor <= 0:
        return []
    return PROVIDERS["manual"].instructions(document)


def footer(document: Document) -> list[list[str]]:
    """The seller in three columns."""
    seller, bank = document.seller, document.bank
    return [
        address(seller),
        [line for line in (seller.email, seller.phone, seller.website, seller.registration) if line],
        [
            f"{label} {value}"
            for label, value in (
                ("VAT id", seller.vat_id),
                ("Tax number", seller.tax_number),
                ("IBAN", grouped(bank.iban)),
                ("BIC", bank.bic),
            )
            if value
        ],
    ]


def texts(document: Document) -> Iterator[str]:
    """Every text of a document, for its letters."""
    yield from (document.number, document.title, intro(document), pay_until(document), *notes(document))
    yield from address(document.buyer)
    for column in footer(document):
        yield from column
    for label, value in (*facts(document), *payment(document)):
        yield from (label, value)
    for line in document.lines:
        yield from cells(line, document.currency)
