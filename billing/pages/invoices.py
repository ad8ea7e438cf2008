"""A customer's invoices: what is owed, all documents, one of them, and who is billed. /c/<slug>/invoices/..."""

from datetime import UTC, date, datetime
from typing import Any, Final

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from billing.invoices import document as documents
from billing.invoices import drafting, ledger, letters, profiles, reading, wording
from billing.models import DocumentKind, Invoice, InvoiceFile
from billing.money import text
from billing.pages import invoices_csv
from billing.pages.invoices_forms import BillingForm
from tenants.pages.door import CustomerRequest, customer_page
from tenants.pages.forms import saved

PAGE_SIZE: Final = 50
# Of the CSV of all documents: a document a day for fourteen years.
CSV_MOST: Final = 5_000
COLUMNS: Final = (
    {"label": "Number"},
    {"label": "What", "word": True},
    {"label": "Date"},
    {"label": "Due"},
    {"label": "Total", "number": True},
    {"label": "Open", "number": True},
    {"label": "State", "word": True},
)


@customer_page("billing.read")
def invoices(request: CustomerRequest) -> HttpResponse:
    """What is owed, the documents (the newest first, `?before=` the next page), and who is billed."""
    return _page(request)


@customer_page("billing.change", methods=("POST",))
def billing(request: CustomerRequest) -> HttpResponse:
    """Change who is billed and who gets documents by e-mail."""
    form = BillingForm(request.POST)
    if saved(request, form, lambda: profiles.change(customer=request.customer, **form.cleaned_data)):
        return redirect("invoices", request.customer.slug)
    return _page(request, form)


@customer_page("billing.read")
def invoice(request: CustomerRequest, number: str) -> HttpResponse:
    """One document, as it stands, and how it stands."""
    row = _row(number)
    document, state = documents.from_json(row.document), reading.standing(row, _today())
    priced = row.kind != DocumentKind.STATEMENT
    cells = [(*wording.cells(line, row.currency), _ledger(request, line.month)) for line in document.lines]
    context = {
        "invoice": row,
        "document": document,
        "state": state,
        "summary": {"kind": state.kind, "words": [{"text": _state_sentence(state)}]},
        "buyer": wording.address(document.buyer),
        "seller": wording.address(document.seller),
        "facts": wording.facts(document),
        "intro": wording.intro(document),
        "priced": priced,
        "lines": [(each[0].splitlines(), *each[1:]) for each in cells],
        "sums": [(label, text(amount, row.currency), bold) for label, amount, bold in wording.sums(document)],
        "notes": wording.notes(document),
        "pay_until": wording.pay_until(document, state.open_minor),
        "payment": wording.payment(document) if state.open_minor else [],
        "footer": wording.footer(document),
        "notes_of": row.credit_notes.all(),
        "entries": _entries(row),
        "tab": "invoices",
    }
    return render(request, "billing/invoices/invoice.html", context)


@customer_page("billing.read")
def pdf(request: CustomerRequest, number: str) -> HttpResponse:
    """The PDF of a document, byte by byte as it was made when it was issued."""
    row = InvoiceFile.objects.filter(invoice__number=number).first()
    if row is None:
        raise Http404
    answer = HttpResponse(bytes(row.content), content_type="application/pdf")
    answer["Content-Disposition"] = f'attachment; filename="{number}.pdf"'
    return answer


@customer_page("billing.read")
def invoice_csv(request: CustomerRequest, number: str) -> HttpResponse:
    """The lines of a document."""
    return _csv(invoices_csv.of_document(documents.from_json(_row(number).document)), f"{number}.csv")


@customer_page("billing.read")
def invoices_list_csv(request: CustomerRequest) -> HttpResponse:
    """All documents, a line each."""
    rows = reading.standings(Invoice.objects.filter(customer_id=request.customer.pk)[:CSV_MOST], _today())
    return _csv(invoices_csv.of_list(rows), f"{request.customer.slug}-invoices.csv")


def _page(request: CustomerRequest, filled: BillingForm | None = None) -> HttpResponse:
    customer, today = request.customer, _today()
    found = Invoice.objects.filter(customer_id=customer.pk)
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        found = found.filter(pk__lt=int(before))
    rows = list(found.order_by("-pk")[: PAGE_SIZE + 1])
    shown = reading.standings(rows[:PAGE_SIZE], today)
    profile = profiles.profile(customer)
    context = {
        "summary": _summary(customer, today),
        "stats": _stats(customer),
        "drafts": _drafts(customer, today),
        "columns": COLUMNS,
        "rows": [_cells(request, each) for each in shown],
        "caption": "The newest first",
        "older": f"?before={rows[PAGE_SIZE - 1].pk}" if len(rows) > PAGE_SIZE else "",
        "newest": "?" if before else "",
        "before": before,
        "form": filled or BillingForm(initial=BillingForm.values(profile)),
        "profile": profile,
        # Of a font that the operator has added nobody knows here which letters it has.
        "lacking": letters.lacking(profiles.printed(profile)) if profile and not settings.INVOICE_FONT else "",
        "csv": reverse("invoices-csv", args=(customer.slug,)),
        "tab": "invoices",
    }
    return render(request, "billing/invoices/invoices.html", context)


def _summary(customer: Any, today: date) -> dict[str, Any]:
    """What is owed, as a sentence."""
    owed = reading.open_invoices(customer)
    if not owed:
        return {"kind": "good", "words": [{"text": "You owe nothing."}]}
    sums = reading.owed(customer)
    amounts = " and ".join(text(amount, currency) for currency, amount in sums.items())
    late = [each for each in owed if each.due_at.date() <= today]
    first = owed[0]
    words: list[dict[str, Any]] = [{"text": f"You owe {amounts}"}]
    due = first.due_at.date()
    if late:
        words += [{"text": "; "}, _link(customer, first.number)]
        words.append({"text": f" is overdue since {wording.day(due)}."})
        return {"kind": "bad", "words": words, "advice": "How to pay is on each invoice."}
    last = wording.day(documents.day_before(due))
    words += [{"text": ", "}, _link(customer, first.number), {"text": f" first, due on {last}."}]
    return {"kind": "info", "words": words}


def _link(customer: Any, number: str) -> dict[str, str]:
    return {"text": number, "url": reverse("invoice", args=(customer.slug, number))}


def _stats(customer: Any) -> list[dict[str, str]]:
    """Balance and SLA credit, where there is any."""
    kinds = (
        ("Balance", "counts towards the next invoice by itself", ledger.balances(customer.pk)),
        ("SLA credit", "comes off the next fee by itself", reading.credit(customer)),
    )
    return [
        {"label": label, "value": text(amount, currency), "change": what}
        for label, what, held in kinds
        for currency, amount in held.items()
    ]


def _drafts(customer: Any, today: date) -> list[dict[str, Any]]:
    """What will be issued next, as far as it is known today."""
    shown = []
    for draft in reading.drafts(customer)[:3]:
        lines = drafting.lines_of(draft)
        net = sum(line.amount_minor for line in lines)
        shown.append(
            {
                "title": draft.get_kind_display().capitalize(),
                "on": draft.ready_on,
                "ready": draft.ready_on <= today,
                "rows": [[line.text, line.detail, text(line.amount_minor, draft.currency)] for line in lines],
                "net": text(net, draft.currency),
                "at": draft.computed_at,
            }
        )
    return shown


def _cells(request: CustomerRequest, each: reading.Standing) -> list[Any]:
    row = each.invoice
    return [
        {"text": row.number, "href": reverse("invoice", args=(request.customer.slug, row.number))},
        row.get_kind_display().capitalize(),
        wording.day(row.issued_at.astimezone(UTC).date()),
        wording.day(row.due_on) if row.due_on else "",
        row.total,
        each.open if each.open_minor else "",
        {"kind": each.kind, "text": each.state.value.capitalize()},
    ]


def _state_sentence(state: reading.Standing) -> str:
    row = state.invoice
    if state.state is reading.PaymentState.NOTHING:
        return f"{row.get_kind_display().capitalize()}: nothing to pay."
    if state.state in (reading.PaymentState.PAID, reading.PaymentState.CREDITED):
        return f"{row.total}: {state.state.value}."
    due = wording.day(row.due_on) if row.due_on else ""
    late = state.state is reading.PaymentState.OVERDUE
    share = state.open if state.open == row.total else f"{state.open} of {row.total}"
    return f"{share} {'was' if late else 'is'} due on {due}."


def _entries(row: Invoice) -> list[dict[str, Any]]:
    found = row.entries.filter(account="invoice").order_by("at", "id")
    return [
        {"at": each.at, "kind": each.get_kind_display(), "amount": text(each.amount_minor, each.currency)}
        for each in found
    ]


def _ledger(request: CustomerRequest, month: str) -> str:
    """The page of the SLA's month that a credit is for; "" of any other line."""
    return f"{reverse('sla', args=(request.customer.slug,))}?month={month}" if month else ""


def _row(number: str) -> Invoice:
    row = Invoice.objects.filter(number=number).first()
    if row is None:
        raise Http404
    return row


def _csv(lines: str, name: str) -> HttpResponse:
    answer = HttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _today() -> date:
    now: datetime = timezone.now()
    return now.astimezone(UTC).date()
