"""CSV of documents, as spreadsheets and bookkeeping take it: one line each, amounts in units with a point. Pure."""

import csv
import io
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from billing.invoices.document import Document
from billing.invoices.reading import Standing
from tenants.pages.csv_lines import escape_formula

LIST_COLUMNS: Final = (
    *("number", "kind", "issued_on", "due_on", "currency", "net", "tax", "total", "open", "state", "corrects"),
)
LINE_COLUMNS: Final = (
    *("number", "text", "detail", "start", "end", "quantity", "price", "amount", "currency"),
    "month",
)


def of_list(rows: Iterable[Standing]) -> str:
    """Documents, a line each."""
    return _written(LIST_COLUMNS, (_document(each) for each in rows))


def of_document(document: Document) -> str:
    """The lines of one document. What a spreadsheet would take for a formula gets an apostrophe; amounts do not."""
    rows = (
        (
            *(escape_formula(each) for each in (document.number, line.text, line.detail)),
            *(day.isoformat() if day else "" for day in (line.start, line.end)),
            *(f"{line.quantity:f}", _units(line.unit_minor), _units(line.amount_minor)),
            *(document.currency, line.month),
        )
        for line in document.lines
    )
    return _written(LINE_COLUMNS, rows)


def _document(each: Standing) -> tuple[str, ...]:
    row = each.invoice
    return (
        *(row.number, row.get_kind_display().lower(), row.issued_at.date().isoformat()),
        row.due_on.isoformat() if row.due_on else "",
        row.currency,
        *(_units(minor) for minor in (row.net_minor, row.tax_minor, row.gross_minor, each.open_minor)),
        *(each.state.value, str(row.document.get("corrects", ""))),
    )


def _written(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows(rows)
    return file.getvalue()


def _units(minor: int) -> str:
    return f"{Decimal(minor) / 100:.2f}"
