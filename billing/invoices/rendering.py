"""Makes the files of documents, by a module that is loaded when the first one is made.

fpdf2 with its fonts, and the library of e-invoices, take two seconds and 40 MB, which a process that issues nothing
(one that takes pushes, say) shall not pay.
"""

from datetime import datetime
from typing import Final

from django.utils.module_loading import import_string

from billing.invoices.document import Document

_PDF: Final = "billing.invoices.pdf"


def file_of(document: Document, now: datetime) -> tuple[bytes, bool]:
    """The PDF of a document, and whether it carries an e-invoice."""
    made: tuple[bytes, bool] = import_string(f"{_PDF}.file_of")(document, now)
    return made


def check_letters(document: Document) -> None:
    """Raise ProblemError for letters that the PDF's font lacks: they would be boxes on the document, for ever."""
    import_string(f"{_PDF}.check_letters")(document)
