"""The PDF of a document, by fpdf2: A4, PDF/A-3B, with the e-invoice inside where that extra is installed.

It is made once, when the document is issued, and kept; nothing else is ever downloaded. The font is DejaVu Sans (Latin,
Greek, Cyrillic, Armenian, Georgian, Hebrew, Arabic), and settings.INVOICE_FONT for what it has no letters of.
"""

import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from fpdf import FPDF
from fpdf.enums import DocumentCompliance, TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace, TTFFont

from billing.invoices import einvoice, wording
from billing.invoices.document import Document
from billing.money import text
from tenants.problem import ProblemError

_FONTS: Final = Path(__file__).parent / "fonts"
_SANS, _MORE = "dejavu", "more"
_MARGIN, _WIDTH = 20.0, 170.0
_INK, _QUIET, _LINE, _BAND = (27, 31, 36), (87, 96, 106), (217, 221, 227), (246, 247, 249)
_NEXT: Final[dict[str, Any]] = {"new_x": XPos.LMARGIN, "new_y": YPos.NEXT}


def file_of(document: Document, now: datetime) -> tuple[bytes, bool]:
    """The PDF of a document, and whether it carries an e-invoice."""
    made = _Page(document, now)
    made.write()
    content = bytes(made.output())
    xml = einvoice.xml_of(document) if document.kind != "statement" else b""
    embedded = einvoice.embed(content, xml, document) if xml else None
    return (content, False) if embedded is None else (embedded, True)


def check_letters(document: Document) -> None:
    """Raise ProblemError for letters that no font has: they would be boxes on the document, for ever."""
    known: set[int] = set()
    fonts = _Page(document, None).fonts
    for font in fonts.values():
        known |= set(font.cmap) if isinstance(font, TTFFont) else set()
    shown = "".join(wording.texts(document))
    lacking = {letter for letter in shown if ord(letter) not in known and unicodedata.category(letter)[0] not in "CZ"}
    if lacking:
        raise ProblemError(
            f"the PDF's font has no letters for {''.join(sorted(lacking))[:20]}: have the operator set INVOICE_FONT to "
            "a font that has them, or write the name in other letters"
        )


class _Page(FPDF):
    """One document: head, recipient, lines, totals, how to pay, and the seller at the foot of each page."""

    def __init__(self, document: Document, now: datetime | None) -> None:
        super().__init__(format="A4", enforce_compliance=DocumentCompliance.PDFA_3B)
        self.document = document
        self.add_font(_SANS, "", _FONTS / "DejaVuSans.ttf")
        self.add_font(_SANS, "B", _FONTS / "DejaVuSans-Bold.ttf")
        if settings.INVOICE_FONT:
            self.add_font(_MORE, "", settings.INVOICE_FONT)
            self.set_fallback_fonts([_MORE], exact_match=False)
        self.set_text_shaping(True)
        if now is not None:
            self.set_creation_date(now)
        self.set_title(f"{document.title} {document.number}")
        self.set_author(document.seller.name)
        self.set_lang("en")
        self.set_margins(_MARGIN, _MARGIN, _MARGIN)
        self.set_auto_page_break(auto=True, margin=38)
        self.alias_nb_pages("{pages}")

    def write(self) -> None:  # type: ignore[override]
        """All of it."""
        self.add_page()
        self._recipient()
        self._facts()
        self._lines()
        self._totals()
        self._closing()

    def header(self) -> None:
        """The seller's name; from the second page on, what this is."""
        self._font(11, bold=True)
        self.set_xy(_MARGIN, 14)
        self.cell(110, 6, self.document.seller.name)
        self._font(9, quiet=True)
        if self.page_no() > 1:
            self.cell(60, 6, f"{self.document.title} {self.document.number}", align="R")
        self.set_draw_color(*_LINE)
        self.line(_MARGIN, 22, _MARGIN + _WIDTH, 22)
        self.set_y(30)

    def footer(self) -> None:
        """Who the seller is, in three columns, and the page."""
        self.set_draw_color(*_LINE)
        self.line(_MARGIN, 264, _MARGIN + _WIDTH, 264)
        self._font(7, quiet=True)
        for number, column in enumerate(wording.footer(self.document)):
            self.set_xy(_MARGIN + number * 58, 266)
            self.multi_cell(54, 3.6, "\n".join(column), align="L")
        self.set_xy(_MARGIN, 286)
        self.cell(_WIDTH, 4, f"Page {self.page_no()} of {{pages}}")

    def _recipient(self) -> None:
        """The buyer, where the window of an envelope is."""
        self.set_xy(_MARGIN, 34)
        self._font(10)
        self.multi_cell(85, 5, "\n".join(wording.address(self.document.buyer)), align="L", **_NEXT)
        self.address_ends = self.get_y()

    def _facts(self) -> None:
        """Number, dates and references, on the right of the recipient; then the title."""
        y = 34.0
        for label, value in wording.facts(self.document):
            self.set_xy(120, y)
            self._font(8, quiet=True)
            self.cell(28, 5, label)
            self._font(8)
            self.set_x(148)
            self.multi_cell(42, 5, value, align="L", **_NEXT)
            y = self.get_y()
        self.set_xy(_MARGIN, max(y, self.address_ends, 68) + 8)
        self._font(16, bold=True)
        self.multi_cell(_WIDTH, 8, f"{self.document.title} {self.document.number}", align="L", **_NEXT)
        intro = wording.intro(self.document)
        if intro:
            self._font(9)
            self.multi_cell(_WIDTH, 5, intro, align="L", **_NEXT)
        self.ln(4)

    def _lines(self) -> None:
        self._font(8.5)
        self.set_draw_color(*_LINE)
        priced = self.document.kind != "statement"
        heads = FontFace(emphasis="BOLD", fill_color=_BAND, color=_INK)
        with self.table(
            col_widths=(78, 20, 34, 38) if priced else (132, 38),
            text_align=("LEFT", "RIGHT", "RIGHT", "RIGHT") if priced else ("LEFT", "RIGHT"),
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            headings_style=heads,
            line_height=4.6,
            padding=(1.6, 1.5),
            width=_WIDTH,
            v_align="TOP",
        ) as table:
            for cells in (
                wording.COLUMNS,
                *(wording.cells(line, self.document.currency) for line in self.document.lines),
            ):
                table.row(cells if priced else (cells[0], cells[-1]))
        self.ln(3)

    def _totals(self) -> None:
        """The sums, on the right, which stay together on a page."""
        sums = wording.sums(self.document)
        if self.will_page_break(len(sums) * 6 + 30):
            self.add_page()
        for label, amount, bold in sums:
            self._font(10 if bold else 9, bold=bold)
            self.set_x(_MARGIN + 70)
            self.cell(62, 6, label, align="L", border="T" if bold else 0)
            self.cell(38, 6, text(amount, self.document.currency), align="R", border="T" if bold else 0, **_NEXT)
        self.ln(5)

    def _closing(self) -> None:
        """Notes, and how to pay."""
        self._font(9)
        for note in wording.notes(self.document):
            self.multi_cell(_WIDTH, 5, note, align="L", **_NEXT)
            self.ln(1.5)
        rows = wording.payment(self.document)
        if not rows:
            return
        if self.will_page_break(len(rows) * 5 + 12):
            self.add_page()
        self.ln(2)
        self._font(9, bold=True)
        self.multi_cell(_WIDTH, 6, wording.pay_until(self.document), align="L", **_NEXT)
        for label, value in rows:
            self._font(9, quiet=True)
            self.cell(36, 5, label)
            self._font(9)
            self.multi_cell(_WIDTH - 36, 5, value, align="L", **_NEXT)

    def _font(self, size: float, *, bold: bool = False, quiet: bool = False) -> None:
        self.set_font(_SANS, "B" if bold else "", size)
        self.set_text_color(*(_QUIET if quiet else _INK))
