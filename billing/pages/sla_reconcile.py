"""Reconciliation: /c/<slug>/sla/reconcile/. A customer's own ack_ids or log lines held against what we counted."""

from typing import Any, Final

from django import forms
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from billing.sla.reconciling import MOST, Reconciled, named, reconcile
from tenants.pages.csv_lines import lines
from tenants.pages.door import CustomerRequest, customer_page
from tenants.pages.forms import EitherFile, EitherText

# Rows on the page; all of them are in the CSV.
SHOWN: Final = 100
# Characters that the form shows again.
REPEATED_MOST: Final = 10_000
MOST_BYTES: Final = 600 * 1024
COLUMNS: Final = (
    {"label": "ack_id"},
    {"label": "Known", "word": True},
    {"label": "Minute (UTC)"},
    {"label": "Outcome"},
    {"label": "Counted"},
    {"label": "The minute", "word": True},
)
CSV: Final = ("ack_id", "known", "minute", "outcome", "code", "counted", "minute_verdict", "trace")


class ReconcileForm(forms.Form):
    """Ids or lines, pasted or as a file."""

    text = EitherText(
        label="ack_ids or log lines",
        required=False,
        strip=True,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
        help_text="One a line: ack_ids, or lines of your server's log that name an ackId, such as those of its "
        "notification log in JSON. Up to 10,000 at once.",
    )
    file = EitherFile(label="Or a file with them", required=False, help_text="Up to 600 KB.")

    def clean(self) -> dict[str, Any]:
        """Needs one of both; the text of both as `ids`."""
        cleaned: dict[str, Any] = super().clean() or {}
        text = cleaned.get("text", "")
        if upload := cleaned.get("file"):
            if upload.size > MOST_BYTES:
                raise forms.ValidationError("The file is larger than 600 KB. Cut it into parts.")
            text += "\n" + upload.read().decode("utf-8", errors="replace")
        found = named(text.replace("\0", " "))
        if not found.ack_ids:
            raise forms.ValidationError(
                "No ack_id was found. Paste ack_ids, or log lines that have an ackId, or choose a file with them."
            )
        if found.too_many:
            raise forms.ValidationError(f"More than {MOST:,} ack_ids were given. Send them in parts.")
        return {**cleaned, "found": found}


@sensitive_post_parameters()
@customer_page("subscription.see", methods=("GET", "HEAD", "POST"), read_only=True)
def page(request: CustomerRequest) -> HttpResponse:
    """GET shows the form; POST what became of each id, on the page or as CSV. It changes nothing."""
    form = ReconcileForm(request.POST or None, request.FILES or None) if request.method == "POST" else ReconcileForm()
    context: dict[str, Any] = {"form": form, "api": f"{settings.PUBLIC_URL}{reverse('sla-reconcile-api')}"}
    if request.method != "POST" or not form.is_valid():
        return render(request, "billing/sla/reconcile.html", context)
    found = form.cleaned_data["found"]
    rows = list(reconcile(request.customer, found.ack_ids))
    if "csv" in request.POST:
        answer = HttpResponse(lines([CSV, *map(_line, rows)]), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="{request.customer.slug}-reconciled.csv"'
        return answer
    if len(form.cleaned_data["text"]) > REPEATED_MOST:  # a page is not to be as large as what was sent
        context["form"] = ReconcileForm()
    context |= {
        "summary": _summary(rows, len(found.ack_ids), found.unclear),
        "columns": COLUMNS,
        "rows": [_cells(request.customer.slug, row) for row in sorted(rows, key=_order)[:SHOWN]],
        "shown": min(len(rows), SHOWN),
        "total": len(rows),
    }
    return render(request, "billing/sla/reconcile.html", context)


def _order(row: Reconciled) -> tuple[bool, bool]:
    """What is to be looked at first."""
    return row.known, row.counted != "failed by us"


def _line(row: Reconciled) -> tuple[object, ...]:
    minute = f"{row.minute:%Y-%m-%dT%H:%MZ}" if row.minute else ""
    return (
        row.ack_id,
        "yes" if row.known else "no",
        minute,
        row.outcome,
        row.code,
        row.counted,
        row.verdict,
        row.trace,
    )


def _cells(slug: str, row: Reconciled) -> list[Any]:
    minute = f"{row.minute:%-d %b %Y, %H:%M}" if row.minute else ""
    outcome: Any = ""
    if row.known:
        outcome = {"href": reverse("push", args=(slug, row.trace)), "text": row.outcome, "code": row.code}
    known = {"kind": "good" if row.known else "warn", "text": "yes" if row.known else "no"}
    return [{"code": row.ack_id}, known, minute, outcome, row.counted, row.verdict]


def _summary(rows: list[Reconciled], asked: int, unclear: int) -> dict[str, Any]:
    known = len({row.ack_id for row in rows if row.known})
    failed = sum(row.counted == "failed by us" for row in rows)
    text = f"{known:,} of {asked:,} ack_ids are known; {failed:,} of their pushes count as failed by us."
    advice = ""
    if known < asked:
        advice = "What is not known never reached us, was turned away unread, or is older than the log."
    if unclear:
        advice += f" {unclear:,} line{'s' if unclear > 1 else ''} named no ack_id."
    return {"kind": "good" if known == asked else "warn", "words": [{"text": text}], "advice": advice.strip()}
