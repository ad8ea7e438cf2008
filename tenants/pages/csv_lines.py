"""Downloads as CSV: rows as lines that no spreadsheet takes for formulas, and the response that streams them."""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from typing import Final

from django.http import StreamingHttpResponse

# What a spreadsheet would take for a formula. https://owasp.org/www-community/attacks/CSV_Injection
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Rows as lines of CSV. What a spreadsheet would take for a formula gets an apostrophe before it."""
    out = io.StringIO()
    csv.writer(out).writerows(map(_escape_formula, row) for row in rows)
    return out.getvalue().encode()


def csv_answer(chunks: AsyncIterator[bytes], name: str) -> StreamingHttpResponse:
    """The response with these lines, as a file of this name."""
    answer = StreamingHttpResponse(chunks, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    # Django's GZipMiddleware packs each piece apart, and browsers read the first of such packs alone.
    answer["Content-Encoding"] = "identity"
    return answer


def _escape_formula(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(FORMULA) else text
