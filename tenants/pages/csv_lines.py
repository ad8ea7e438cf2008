"""Downloads as CSV: rows as lines that no spreadsheet takes for formulas, and the response that streams them."""

import csv
import io
import re
from collections.abc import AsyncIterator, Iterable
from typing import Final

from django.http import StreamingHttpResponse

# What a spreadsheet would take for a formula. https://owasp.org/www-community/attacks/CSV_Injection
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# The same after what separates cells in other countries, or lines: there a spreadsheet reads a cell as two.
_IN_A_CELL: Final = re.compile(rf"([;,|\t\r\n][\s\"]*)(?=[{re.escape(''.join(FORMULA[:4] + FORMULA[7:]))}])")


def lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Rows as lines of CSV. What a spreadsheet would take for a formula gets an apostrophe before it."""
    out = io.StringIO()
    csv.writer(out).writerows(map(escape_formula, row) for row in rows)
    return out.getvalue().encode()


def csv_answer(chunks: AsyncIterator[bytes], name: str) -> StreamingHttpResponse:
    """The response with these lines, as a file of this name."""
    answer = StreamingHttpResponse(chunks, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    # Django's GZipMiddleware packs each piece apart, and browsers read the first of such packs alone.
    answer["Content-Encoding"] = "identity"
    return answer


def escape_formula(cell: object) -> str:
    """A cell's text, with an apostrophe before each part of it that a spreadsheet would take for a formula."""
    text = _IN_A_CELL.sub(r"\1'", "" if cell is None else str(cell))
    return f"'{text}" if text.startswith(FORMULA) else text
