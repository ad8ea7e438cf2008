"""Issues documents: a draft becomes an invoice or a statement, an invoice is corrected by a credit note.

One transaction under the customer's lock takes the number, freezes what stands on the document, makes its PDF, enters
what follows into the ledger, and removes the draft: all of it or nothing. Afterwards the database refuses any change.
"""

import hashlib
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from billing import events
from billing.invoices import document as documents
from billing.invoices import drafting, ledger, numbering, payments, profiles, rendering, seller, taxes
from billing.invoices.document import Document, Line, Tax
from billing.models import DocumentKind, Invoice, InvoiceDraft, InvoiceFile, LedgerEntry
from billing.money import text
from tenants.audit import recording
from tenants.models import Customer
from tenants.problem import ProblemError

Account, Kind = LedgerEntry.Account, LedgerEntry.Kind
NO_NUMBER: Final = "Draft"


def preview(draft: InvoiceDraft, now: datetime) -> Document:
    """A draft as it would be issued now, without a number. Raises ProblemError for what stands in the way."""
    from_ = seller.seller()
    buyer = profiles.party(draft.customer, needed=draft.kind == DocumentKind.INVOICE)
    lines = tuple(drafting.lines_of(draft))
    statement = draft.kind == DocumentKind.STATEMENT
    if statement:
        treated = taxes.Treatment("O", Decimal(0))
    else:
        treated = taxes.treatment(from_.party, buyer, from_.vat_rate, from_.vat_exempt)
    today = now.astimezone(UTC).date()
    credits_ = ledger.credits_left(draft.customer_id, draft.currency) if statement else []
    made = Document(
        kind=draft.kind,
        number=NO_NUMBER,
        issued_on=today,
        due_on=None if statement else today + timedelta(days=draft.payment_days),
        currency=draft.currency,
        seller=from_.party,
        buyer=buyer,
        bank=from_.bank,
        lines=lines,
        taxes=() if statement else (documents.tax(lines, treated.category, treated.rate, treated.reason),),
        customer=draft.customer.slug,
        credit_minor=sum(each.left_minor for each in credits_),
        balance_minor=ledger.balance_minor(draft.customer_id, draft.currency) if statement else 0,
        footer=from_.footer,
        roots=tuple((f"{each.month.first:%Y-%m}", each.root) for each in credits_ if each.root),
    )
    if made.net_minor < 0:
        raise ProblemError("the lines come to less than nothing: that is a credit note, not an invoice")
    if not lines:
        raise ProblemError("nothing stands on this draft")
    rendering.check_letters(made)
    return made


def issue(draft: InvoiceDraft, *, now: datetime) -> Invoice:
    """Issue a draft. Raises ProblemError where it was issued before, is not ready, or something is missing."""
    with events.changes(draft.customer_id, now), ledger.locked(draft.customer_id):
        there = InvoiceDraft.objects.select_related("customer").filter(pk=draft.pk).first()
        if there is None:
            raise ProblemError("this draft was issued or withdrawn in the meantime")
        if there.ready_on > now.astimezone(UTC).date():
            raise ProblemError(
                f"this draft can be issued from {there.ready_on} on: until then what it bills can change"
            )
        if there.subscription_id is not None and there.computed_at.astimezone(UTC).date() < there.ready_on:
            raise ProblemError(
                f"this draft was computed on {there.computed_at:%Y-%m-%d}, before its day, and may lack what was used "
                "until then: the timetable computes it daily, and `invoice draft` at once"
            )
        made = preview(there, now)
        invoice = _keep(made, there.customer, now, subscription_id=there.subscription_id, step_on=there.ready_on)
        used = [(date.fromisoformat(f"{line.month}-01"), -line.amount_minor) for line in made.lines if line.month]
        ledger.use_credits(invoice, used, now)
        there.delete()
        payments.pay_by_balance(invoice, now=now)
    return invoice


def creditable_minor(invoice: Invoice) -> int:
    """What of an invoice can still be credited, before tax."""
    return invoice.net_minor - sum(note.net_minor for note in invoice.credit_notes.all())


def credit_preview(invoice: Invoice, *, net_minor: int | None, reason: str, now: datetime) -> Document:
    """The credit note of an invoice as it would be issued now: of all that is left, or of an amount before tax.

    Raises ProblemError for more than is left, and for what is no invoice.
    """
    if invoice.kind != DocumentKind.INVOICE:
        raise ProblemError(f"{invoice.number} is a {invoice.get_kind_display()}: only invoices are credited")
    reason = " ".join(reason.split())
    if not reason or len(reason) > 200:
        raise ProblemError("a credit note needs a reason of at most 200 characters: it stands on it", field="reason")
    left = creditable_minor(invoice)
    net = left if net_minor is None else net_minor
    if not 0 < net <= left:
        raise ProblemError(
            f"of {invoice.number} {text(left, invoice.currency)} before tax can be credited", field="amount"
        )
    old = documents.from_json(invoice.document)
    whole = net == invoice.net_minor
    lines = old.lines if whole else (Line(f"Credit for {invoice.number}", net, detail=reason),)
    (was,) = old.taxes
    made = documents.tax(lines, was.category, was.rate, was.reason)
    if net == left:  # what is left of the tax, too, to the cent
        rest = invoice.tax_minor - sum(note.tax_minor for note in invoice.credit_notes.all())
        made = Tax(was.category, was.rate, net, rest, was.reason)
    return msgspec.structs.replace(
        old,
        kind=DocumentKind.CREDIT_NOTE.value,
        number=NO_NUMBER,
        issued_on=now.astimezone(UTC).date(),
        due_on=None,
        lines=tuple(lines),
        taxes=(made,),
        corrects=invoice.number,
        corrects_on=old.issued_on,
        reason=reason,
    )


def credit(invoice: Invoice, *, reason: str, now: datetime, net_minor: int | None = None) -> Invoice:
    """Issue a credit note. It counts towards the invoice as far as that is open; the rest becomes balance.

    A note of the whole invoice gives SLA credits back that it had used. Raises ProblemError as credit_preview.
    """
    with events.changes(invoice.customer_id, now), ledger.locked(invoice.customer_id):
        made = credit_preview(invoice, net_minor=net_minor, reason=reason, now=now)
        note = _keep(made, None, now, corrects=invoice)
        to_invoice = min(ledger.open_minor(invoice), note.gross_minor)
        batch = uuid.uuid4()
        moved = [
            (Account.INVOICE, Kind.CREDIT_NOTE, to_invoice, None),
            (Account.BALANCE, Kind.CREDIT_NOTE, note.gross_minor - to_invoice, None),
            *(
                (Account.CREDIT, Kind.SLA_CREDIT_USED, -line.amount_minor, date.fromisoformat(f"{line.month}-01"))
                for line in made.lines
                if line.month
            ),
        ]
        for account, kind, amount, month in moved:
            ledger.add(
                account,
                kind,
                amount,
                customer_id=invoice.customer_id,
                currency=invoice.currency,
                at=now,
                batch=batch,
                invoice=invoice,
                month=month,
                reference=note.number,
            )
    return note


def _keep(
    made: Document,
    customer: Customer | None,
    now: datetime,
    *,
    corrects: Invoice | None = None,
    subscription_id: int | None = None,
    step_on: date | None = None,
) -> Invoice:
    """Give a document its number and keep it with its PDF."""
    number = numbering.take(made.kind, made.issued_on)
    made = msgspec.structs.replace(made, number=str(number))
    content, e_invoice = rendering.file_of(made, now)
    row = Invoice.objects.create(
        kind=made.kind,
        series=number.series,
        year=number.year,
        sequence=number.sequence,
        number=made.number,
        customer_id=customer.pk if customer else corrects.customer_id if corrects else 0,
        customer_name=made.buyer.name,
        subscription_id=corrects.subscription_id if corrects else subscription_id,
        step_on=step_on,
        issued_at=now,
        due_on=made.due_on,
        currency=made.currency,
        net_minor=made.net_minor,
        tax_minor=made.tax_minor,
        gross_minor=made.gross_minor,
        corrects=corrects,
        document=documents.to_json(made),
    )
    InvoiceFile.objects.create(
        invoice=row, content=content, sha256=hashlib.sha256(content).hexdigest(), e_invoice=e_invoice
    )
    recording.record(
        "invoice.credit" if corrects else "invoice.issue",
        customer=row.customer_id,
        target=row.number,
        target_id=row.pk,
        net=text(row.net_minor, row.currency),
        tax=text(row.tax_minor, row.currency),
        total=text(row.gross_minor, row.currency),
        issued=made.issued_on,
        due=made.due_on,
        corrects=corrects.number if corrects else None,
        reason=made.reason,
    )
    return row
