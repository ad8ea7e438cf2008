"""E-invoices: EN 16931 in the syntax Cross Industry Invoice (UN/CEFACT D22B), embedded into the PDF as Factur-X.

The XML is made here; the optional library factur-x (requirements-einvoice.lock) checks it against the schema and puts
it into the PDF. Business terms (BT-1 ...) are named where they are not plain. Without the library a PDF has none.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Final
from xml.etree import ElementTree as Tree

from billing.invoices.document import Document, Line, Party, Tax
from billing.invoices.taxes import EU

try:
    import facturx
except ImportError:
    facturx = None

PROFILE: Final = "urn:cen.eu:en16931:2017"
_TYPES: Final = {"invoice": "380", "credit_note": "381"}  # UNTDID 1001
_TRANSFER: Final = "58"  # UNTDID 4461: SEPA credit transfer
_SPACES: Final = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
}
for _prefix, _space in _SPACES.items():
    Tree.register_namespace(_prefix, _space)


def embed(pdf: bytes, xml: bytes, document: Document) -> bytes | None:
    """The PDF with the e-invoice in it, checked against the schema; None where the library is not installed."""
    if facturx is None:
        return None
    title = f"{document.title} {document.number}"
    about = {"author": document.seller.name, "title": title, "subject": title, "keywords": "Factur-X, EN 16931"}
    made: bytes = facturx.generate_from_binary(
        pdf, xml, flavor="factur-x", level="en16931", check_xsd=True, pdf_metadata=about, lang="en"
    )
    return made


def xml_of(document: Document) -> bytes:
    """An invoice or a credit note as Cross Industry Invoice, profile EN 16931."""
    root = Tree.Element(f"{{{_SPACES['rsm']}}}CrossIndustryInvoice")
    _add(root, "rsm:ExchangedDocumentContext/ram:GuidelineSpecifiedDocumentContextParameter/ram:ID", PROFILE)
    head = _add(root, "rsm:ExchangedDocument")
    _add(head, "ram:ID", document.number)
    _add(head, "ram:TypeCode", _TYPES[document.kind])
    _date(head, "ram:IssueDateTime", document.issued_on)
    for note in filter(None, (document.reason, document.footer)):
        _add(head, "ram:IncludedNote/ram:Content", note)
    trade = _add(root, "rsm:SupplyChainTradeTransaction")
    (tax,) = document.taxes
    for number, line in enumerate(document.lines, 1):
        _line(trade, number, line, tax)
    agreement = _add(trade, "ram:ApplicableHeaderTradeAgreement")
    if document.buyer.reference:
        _add(agreement, "ram:BuyerReference", document.buyer.reference)
    # A document outside of the scope of VAT names no VAT id (BR-O-02): the seller is known by its registration.
    _party(_add(agreement, "ram:SellerTradeParty"), document.seller, vat=tax.category != "O", seller=True)
    _party(_add(agreement, "ram:BuyerTradeParty"), document.buyer, vat=tax.category != "O")
    delivery = _add(trade, "ram:ApplicableHeaderTradeDelivery")
    end = document.period[1] if document.period else document.issued_on
    _date(delivery, "ram:ActualDeliverySupplyChainEvent/ram:OccurrenceDateTime", end)
    _settlement(_add(trade, "ram:ApplicableHeaderTradeSettlement"), document, tax)
    Tree.indent(root)
    xml: bytes = Tree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return xml


def _line(trade: Tree.Element, number: int, line: Line, tax: Tax) -> None:
    item = _add(trade, "ram:IncludedSupplyChainTradeLineItem")
    _add(item, "ram:AssociatedDocumentLineDocument/ram:LineID", str(number))
    product = _add(item, "ram:SpecifiedTradeProduct")
    _add(product, "ram:Name", line.text)
    if line.detail:
        _add(product, "ram:Description", line.detail)
    price = _add(item, "ram:SpecifiedLineTradeAgreement/ram:NetPriceProductTradePrice")
    _add(price, "ram:ChargeAmount", _amount(line.unit_minor))
    quantity = _add(item, "ram:SpecifiedLineTradeDelivery/ram:BilledQuantity", f"{line.quantity:f}")
    quantity.set("unitCode", "C62")
    settlement = _add(item, "ram:SpecifiedLineTradeSettlement")
    _tax(settlement, tax, with_amounts=False)
    if line.start and line.end:
        _period(settlement, line.start, line.end)
    total = _add(settlement, "ram:SpecifiedTradeSettlementLineMonetarySummation")
    _add(total, "ram:LineTotalAmount", _amount(line.amount_minor))


def _party(element: Tree.Element, party: Party, *, vat: bool, seller: bool = False) -> None:
    _add(element, "ram:Name", party.name)
    if party.registration:
        _add(element, "ram:SpecifiedLegalOrganization/ram:ID", party.registration)
    if seller and (party.phone or party.email):
        contact = _add(element, "ram:DefinedTradeContact")
        _add(contact, "ram:PersonName", party.name)
        if party.phone:
            _add(contact, "ram:TelephoneUniversalCommunication/ram:CompleteNumber", party.phone)
        if party.email:
            _add(contact, "ram:EmailURIUniversalCommunication/ram:URIID", party.email)
    place = _add(element, "ram:PostalTradeAddress")
    if party.postcode:
        _add(place, "ram:PostcodeCode", party.postcode)
    for name, text in zip(("LineOne", "LineTwo", "LineThree"), _three(party.address), strict=False):
        _add(place, f"ram:{name}", text)
    _add(place, "ram:CityName", party.city)
    _add(place, "ram:CountryID", party.country)
    if seller and party.email:
        address = _add(element, "ram:URIUniversalCommunication/ram:URIID", party.email)
        address.set("schemeID", "EM")
    # A tax id of another scheme has no place in EN 16931's VAT identifier.
    if vat and party.vat_id and party.country in EU:
        _add(element, "ram:SpecifiedTaxRegistration/ram:ID", party.vat_id).set("schemeID", "VA")
    if seller and party.tax_number:
        _add(element, "ram:SpecifiedTaxRegistration/ram:ID", party.tax_number).set("schemeID", "FC")


def _settlement(element: Tree.Element, document: Document, tax: Tax) -> None:
    _add(element, "ram:PaymentReference", document.number)
    _add(element, "ram:InvoiceCurrencyCode", document.currency)
    if document.kind == "invoice" and document.bank.iban:
        means = _add(element, "ram:SpecifiedTradeSettlementPaymentMeans")
        _add(means, "ram:TypeCode", _TRANSFER)
        account = _add(means, "ram:PayeePartyCreditorFinancialAccount")
        _add(account, "ram:IBANID", document.bank.iban)
        _add(account, "ram:AccountName", document.seller.name)
        if document.bank.bic:
            _add(means, "ram:PayeeSpecifiedCreditorFinancialInstitution/ram:BICID", document.bank.bic)
    _tax(element, tax, with_amounts=True)
    if document.period:
        _period(element, *document.period)
    if document.due_on:
        _date(_add(element, "ram:SpecifiedTradePaymentTerms"), "ram:DueDateDateTime", document.due_on)
    total = _add(element, "ram:SpecifiedTradeSettlementHeaderMonetarySummation")
    _add(total, "ram:LineTotalAmount", _amount(document.net_minor))
    _add(total, "ram:TaxBasisTotalAmount", _amount(document.net_minor))
    _add(total, "ram:TaxTotalAmount", _amount(document.tax_minor)).set("currencyID", document.currency)
    _add(total, "ram:GrandTotalAmount", _amount(document.gross_minor))
    _add(total, "ram:DuePayableAmount", _amount(document.gross_minor))
    if document.corrects and document.corrects_on:
        before = _add(element, "ram:InvoiceReferencedDocument")
        _add(before, "ram:IssuerAssignedID", document.corrects)
        when = _add(before, "ram:FormattedIssueDateTime")
        qualified = "urn:un:unece:uncefact:data:standard:QualifiedDataType:100"
        Tree.register_namespace("qdt", qualified)
        stamp = Tree.SubElement(when, f"{{{qualified}}}DateTimeString", {"format": "102"})
        stamp.text = f"{document.corrects_on:%Y%m%d}"


def _tax(element: Tree.Element, tax: Tax, *, with_amounts: bool) -> None:
    made = _add(element, "ram:ApplicableTradeTax")
    if with_amounts:
        _add(made, "ram:CalculatedAmount", _amount(tax.tax_minor))
    _add(made, "ram:TypeCode", "VAT")
    if with_amounts:
        if tax.reason:
            _add(made, "ram:ExemptionReason", tax.reason)
        _add(made, "ram:BasisAmount", _amount(tax.net_minor))
    _add(made, "ram:CategoryCode", tax.category)
    if tax.category != "O":
        _add(made, "ram:RateApplicablePercent", f"{tax.rate:f}")


def _period(element: Tree.Element, start: date, end: date) -> None:
    period = _add(element, "ram:BillingSpecifiedPeriod")
    _date(period, "ram:StartDateTime", start)
    _date(period, "ram:EndDateTime", end)


def _date(element: Tree.Element, path: str, day: date) -> None:
    _add(_add(element, path), "udt:DateTimeString", f"{day:%Y%m%d}").set("format", "102")


def _add(element: Tree.Element, path: str, text: str | None = None) -> Tree.Element:
    """Add new elements below one another; the innermost has the text."""
    for name in path.split("/"):
        prefix, _, local = name.partition(":")
        element = Tree.SubElement(element, f"{{{_SPACES[prefix]}}}{local}")
    element.text = text
    return element


def _amount(minor: int) -> str:
    return f"{Decimal(minor) / 100:.2f}"


def _three(address: str) -> Iterator[str]:
    lines = address.splitlines()
    yield from lines[:2]
    if lines[2:]:
        yield ", ".join(lines[2:])
