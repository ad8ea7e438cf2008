"""A customer's pages of invoices: what is owed in a sentence, documents and their files, and who is billed."""

import csv
import io
from datetime import UTC, datetime

import pytest
from django.core import mail
from pytest_django import Settings

from billing import customers
from billing.facts import Credit, Month
from billing.invoices import drafting, issuing, ledger, mails, payments
from billing.invoices.document import Line
from billing.models import BillingProfile, Invoice, InvoiceFile, InvoiceMail, RoundFailure
from tenants.models import AuditEvent, Customer
from tests.billing.invoices.making import NOW, at, billed, issued
from tests.browsing import Browser, browser

pytestmark = pytest.mark.django_db
PAGE = "/c/acme/invoices/"
FORM = {
    "name": "Acme SA",
    "address": "Rue 1\nBât. B",
    "postcode": "1040",
    "city": "Bruxelles",
    "country": "BE",
    "vat_id": "be 0428.759.497",
    "reference": "PO 7",
    "emails": "a@acme.example, b@acme.example",
}


def text(one: Browser, address: str = PAGE) -> str:
    """A page without its tags' line breaks."""
    answer = one.get(address)
    assert answer.status_code == 200, answer.status_code
    return " ".join(answer.content.decode().split())


def test_what_is_owed_is_said_first(acme: Customer, ada: Browser) -> None:
    assert "You owe nothing." in text(ada)
    first = issued(acme)
    assert "You owe 119.00 EUR" in text(ada)
    issued(acme, 5_000)
    issued(acme, 5_000, currency="USD")
    found = text(ada)
    assert "You owe 178.50 EUR and 59.50 USD" in found
    assert f'href="/c/acme/invoices/{first.number}/"' in found
    assert "is overdue" not in found


def test_an_overdue_invoice_is_named(acme: Customer, ada: Browser) -> None:
    made = issued(acme, now=at(2020, 1, 1))
    found = text(ada)
    assert f"{made.number}</a> is overdue since 1 Feb 2020." in found
    assert "Overdue" in found


def test_a_document_is_shown_as_it_is_and_its_files_are_had(acme: Customer, ada: Browser) -> None:
    billed(acme, country="BE", vat_id="BE0428759497")
    made = issued(acme)
    found = text(ada, f"{PAGE}{made.number}/")
    for each in ("Reverse charge: VAT is owed by the recipient", "100.00 EUR", "DE02 1203 0000", "Hamburg", "Belgium"):
        assert each in found
    answer = ada.get(f"{PAGE}{made.number}.pdf")
    assert answer.content == bytes(InvoiceFile.objects.get().content)
    assert (answer["Content-Type"], answer["Content-Disposition"]) == (
        *("application/pdf", 'attachment; filename="INV-2026-00001.pdf"'),
    )
    lines = list(csv.DictReader(io.StringIO(ada.get(f"{PAGE}{made.number}.csv").content.decode())))
    assert [(line["text"], line["amount"]) for line in lines] == [("Set-up", "100.00")]
    (row,) = csv.DictReader(io.StringIO(ada.get("/c/acme/invoices.csv").content.decode()))
    assert (row["number"], row["total"], row["open"], row["state"]) == (made.number, "100.00", "100.00", "open")
    assert row["kind"] == "invoice"


def test_what_was_paid_is_shown_with_its_day_and_what_is_too_much_with_what_becomes_of_it(
    acme: Customer, ada: Browser
) -> None:
    billed(acme)
    made = issued(acme)
    when = datetime(2026, 3, 9, 12, tzinfo=UTC)
    paid = made.gross_minor + 1_000
    payments.record(made, amount_minor=paid, currency=made.currency, reference="BANK-1", now=when)
    assert "<li>9 Mar 2026: Payment, " in text(ada, f"{PAGE}{made.number}/")
    found = text(ada, PAGE)
    assert "10.00 EUR" in found
    assert "counts towards the next invoice by itself" in found


def test_another_customers_document_is_not_there(acme: Customer, ada: Browser) -> None:
    cosmos = billed(customers.add(name="Cosmos", offer="hpns").row)
    number = issued(cosmos).number
    for end in ("/", ".pdf", ".csv"):
        assert ada.get(f"{PAGE}{number}{end}").status_code == 404
    assert number not in text(ada)


def test_what_comes_next_balance_and_credit_are_shown(acme: Customer, ada: Browser) -> None:
    ledger.grant(acme, Credit(acme.pk, Month(2026, 10), 10, 4_990, "EUR", "ab" * 32), NOW)
    drafting.make(acme, currency="EUR", lines=[Line("HPNS Standard, 1 month", 49_900)], now=NOW)
    found = text(ada)
    for each in ("449.10 EUR before tax", "SLA credit for October 2026 (10 %)", "SLA credit</dt>", "49.90 EUR"):
        assert each in found


def test_a_credit_on_a_document_leads_to_the_month_that_it_is_for(acme: Customer, ada: Browser) -> None:
    ledger.grant(acme, Credit(acme.pk, Month(2026, 10), 10, 4_990, "EUR", "ab" * 32), NOW)
    made = issued(billed(acme), 49_900)
    assert f'href="/c/{acme.slug}/sla/?month=2026-10"' in text(ada, f"{PAGE}{made.number}/")


def test_an_owner_says_who_is_billed_and_an_admin_reads_it(acme: Customer, ada: Browser) -> None:
    answer = ada.post(f"{PAGE}billing/", FORM)
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    row = BillingProfile.objects.get()
    assert (row.country, row.vat_id, row.emails) == ("BE", "BE0428759497", ["a@acme.example", "b@acme.example"])
    event = AuditEvent.objects.filter(action="billing.change", actor_kind="member").get()
    assert (event.target, event.details["vat_id"]) == ("Acme SA", "BE0428759497")
    admin = browser(acme, "admin")
    found = text(admin)
    assert "BE0428759497" in found
    assert "An owner changes it." in found
    assert admin.post(f"{PAGE}billing/", FORM).status_code == 403


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"vat_id": "BE0428759498"}, "is no VAT id of BE"),
        ({"vat_id": "DE136695976"}, "has to begin with BE"),
        ({"country": "XX"}, "Select a valid choice"),
        ({"emails": "nobody"}, "is no e-mail address"),
        ({"name": " "}, "This field is required"),
        ({"address": "1\n2\n3\n4\n5"}, "at most four lines"),
    ],
)
def test_what_will_not_do_is_said_and_what_was_typed_is_kept(
    acme: Customer, ada: Browser, wrong: dict[str, str], why: str
) -> None:
    answer = ada.post(f"{PAGE}billing/", {**FORM, **wrong})
    found = answer.content.decode()
    assert answer.status_code == 200
    assert why in found.partition(f'id="id_{next(iter(wrong))}_error"')[2].partition("</p>")[0]
    assert "PO 7" in found
    assert BillingProfile.objects.get().country == "DE"


def test_more_documents_than_a_page_holds_are_a_click_away(acme: Customer, ada: Browser) -> None:
    made = issued(acme)
    row = Invoice.objects.filter(pk=made.pk).values().get()
    copies = [Invoice(**{**row, "id": None, "sequence": n, "number": f"INV-2026-{n:05d}"}) for n in range(2, 53)]
    Invoice.objects.bulk_create(copies)
    found = text(ada)
    assert "INV-2026-00052" in found
    assert "INV-2026-00002<" not in found
    oldest = Invoice.objects.order_by("-pk")[49].pk
    assert f'href="?before={oldest}"' in found
    assert "INV-2026-00002<" in text(ada, f"{PAGE}?before={oldest}")
    assert "no older documents" in text(ada, f"{PAGE}?before=0")


# --- E-mails


def test_each_billing_contact_gets_one_mail_with_the_link_and_without_the_pdf(
    acme: Customer, settings: Settings
) -> None:
    billed(acme, emails=["a@acme.example", "b@acme.example"])
    made = issued(acme)
    assert mails.send_pending(NOW) == 2
    assert mails.send_pending(NOW) == 0
    assert sorted(letter.to[0] for letter in mail.outbox) == ["a@acme.example", "b@acme.example"]
    letter = mail.outbox[0]
    assert letter.subject == "Invoice INV-2026-00001 for Acme: 119.00 EUR"
    assert f"https://push.example.com/c/acme/invoices/{made.number}/" in letter.body
    assert "119.00 EUR are due on 30 December 2026." in letter.body
    assert letter.attachments == []


def test_a_mail_that_could_not_be_sent_is_sent_later_and_what_is_old_is_not(
    acme: Customer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    issued(acme)
    working = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    assert mails.send_pending(NOW) == 0
    assert not InvoiceMail.objects.exists()
    assert "INV-2026-00001 was not mailed" in caplog.text
    assert "books@" not in RoundFailure.objects.get().why
    assert "books@" not in caplog.text
    settings.EMAIL_BACKEND = working
    assert mails.send_pending(at(2026, 12, 20)) == 0
    assert mails.send_pending(at(2026, 12, 1)) == 1


def test_a_statement_is_mailed_where_it_has_something_to_say(acme: Customer) -> None:
    draft = drafting.make(acme, currency="EUR", lines=[Line("Included", 0)], now=NOW)
    draft.kind = "statement"
    draft.save()
    issuing.issue(draft, now=NOW)
    assert mails.send_pending(NOW) == 0
