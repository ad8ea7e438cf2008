"""Staff's pages and commands: what will happen is shown before it does, and who may not is refused."""

import re
from typing import Any

import pytest
import redis
from django.contrib.auth.models import Permission, User
from django.core.checks import CheckMessage
from django.core.management import CommandError
from pytest_django import Settings

from billing.facts import Credit, Month
from billing.invoices import checks, drafting, ledger, reading
from billing.invoices.document import Line
from billing.models import BillingProfile, Invoice, InvoiceDraft
from hpns.staff.today import needs
from tenants.models import AuditEvent, Customer
from tests.billing.invoices.making import SELLER_JSON, billed
from tests.browsing import Browser, staff
from tests.tenants.management.test_commands import run

pytestmark = pytest.mark.django_db
DRAFTS, INVOICES = "/admin/billing/invoicedraft/", "/admin/billing/invoice/"


@pytest.fixture
def somebody(valkey: redis.Redis) -> Browser:
    """Somebody of the staff, with a second factor shown."""
    return Browser().enter(staff(), factor=True)


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def issued(somebody: Browser, acme: Customer) -> Invoice:
    """Draft and issue as staff do it: what is shown first, and then done."""
    form = {"customer": acme.pk, "currency": "EUR", "payment_days": "30", "lines_text": "Onboarding | 2 | 50.00"}
    answer = somebody.post(f"{DRAFTS}add/", form)
    assert answer.status_code == 302, text(answer)
    draft = InvoiceDraft.objects.get()
    assert "Total: <strong>119.00 EUR</strong>" in text(somebody.get(f"{DRAFTS}{draft.pk}/change/"))
    act = {"action": "issue", "_selected_action": [draft.pk]}
    shown = text(somebody.post(DRAFTS, act))
    assert "Onboarding" in shown
    assert "119.00 EUR" in shown
    assert not Invoice.objects.exists()
    assert somebody.post(DRAFTS, {**act, "confirmed": "yes"}).status_code == 302
    return Invoice.objects.get(kind="invoice")


def confirmed(somebody: Browser, address: str, form: dict[str, Any]) -> tuple[str, Any]:
    """What will happen, and the answer to its confirmation."""
    shown = text(somebody.post(address, form))
    token = re.search(r'name="confirmed" value="(\w+)"', shown)
    assert token, shown
    return shown, somebody.post(address, {**form, "confirmed": token[1]}, follow=True)


def test_a_draft_is_entered_previewed_and_issued(somebody: Browser, acme: Customer) -> None:
    made = issued(somebody, acme)
    assert (made.number, made.gross_minor) == ("INV-2026-00001".replace("2026", str(made.year)), 11_900)
    assert AuditEvent.objects.get(action="invoice.issue").actor == "staff@example.com"
    page = text(somebody.get(f"{INVOICES}{made.pk}/change/"))
    assert "Onboarding" in page
    assert "Enter a payment" in page
    for words in (made.number, "Acme"):
        assert made.number in text(somebody.get(INVOICES, {"q": words}))


def test_a_payment_shows_what_will_happen_and_does_that_alone(somebody: Browser, acme: Customer) -> None:
    made = issued(somebody, acme)
    address = f"{INVOICES}{made.pk}/payment/"
    assert 'value="119.00"' in text(somebody.get(address))
    form = {"amount": "150.00", "currency": "EUR", "reference": "bank 1", "note": ""}
    shown = text(somebody.post(address, form))
    assert "119.00 EUR count towards the invoice, 31.00 EUR go to the balance; it is paid." in shown
    token = re.search(r'name="confirmed" value="(\w+)"', shown)
    assert token
    # What was typed since is shown first, too.
    changed = text(somebody.post(address, {**form, "amount": "1.00", "confirmed": token[1]}))
    assert "1.00 EUR count towards the invoice; 118.00 EUR stay open." in changed
    assert ledger.paid_minor(made) == 0
    somebody.post(address, {**form, "confirmed": token[1]})
    assert (ledger.paid_minor(made), ledger.balance_minor(acme.pk, "EUR")) == (11_900, 3_100)
    assert made.number in text(somebody.get(INVOICES, {"q": "bank 1"}))
    wrong = text(somebody.post(address, {**form, "currency": "USD"}))
    assert "have the bank change it" in wrong


def test_credit_notes_and_refunds_show_what_will_happen(somebody: Browser, acme: Customer) -> None:
    made = issued(somebody, acme)
    shown, answer = confirmed(somebody, f"{INVOICES}{made.pk}/credit/", {"amount": "100.00", "reason": "A mistake"})
    assert "119.00 EUR count towards" in shown
    assert "It cannot be taken back." in shown
    assert "was issued: 119.00 EUR." in text(answer)
    second = issued_again(acme)
    somebody.get(INVOICES)
    confirmed(
        somebody,
        f"{INVOICES}{second.pk}/payment/",
        {"amount": "130.00", "currency": "EUR", "reference": "b", "note": ""},
    )
    shown, answer = confirmed(
        somebody, f"{INVOICES}{second.pk}/refund/", {"amount": "11.00", "reference": "back", "note": ""}
    )
    assert "11.00 EUR were paid back; 0.00 EUR of the balance stay." in shown
    assert ledger.balance_minor(acme.pk, "EUR") == 0


def test_sla_credit_in_another_currency_is_told_shown_and_used_at_a_stated_rate(
    somebody: Browser, acme: Customer
) -> None:
    made = issued_again(acme)
    address, form = f"{INVOICES}{made.pk}/exchange/", {"source": "USD", "rate": "0.85", "reason": "ECB of today"}
    assert "What is left: nothing in another currency." in text(somebody.get(address))
    for month, minor in ((9, 1_001), (10, 2_000)):
        ledger.grant(acme, Credit(acme.pk, Month(2026, month), 10, minor, "USD", "ab" * 32), made.issued_at)
    told = {need.key: need for need in needs(lambda _: True, made.issued_at)}["credits_unused"]
    assert told.number == 2
    assert "Exchange it at a rate" in told.sentence
    listed = text(somebody.get(told.url))
    assert listed.count("SLA credit</td>") == 2
    assert listed.count('field-customer">Acme</td>') == 2
    empty = text(somebody.get(address))
    assert "What is left: 30.01 USD." in empty
    assert 'value="EUR"' not in empty, "it cannot become what it is"
    assert "more than 0" in text(somebody.post(address, {**form, "rate": "0"}))
    shown, answer = confirmed(somebody, address, form)
    assert "30.01 USD of SLA credit become 25.51 EUR at 0.85 EUR for 1 USD" in shown, shown
    assert "The credit was exchanged" in text(answer)
    assert [each.left_minor for each in ledger.credits_left(acme.pk, "EUR")] == [851, 1_700], "rounded up"
    assert ledger.credits_left(acme.pk, "USD") == []
    event = AuditEvent.objects.get(action="sla_credit.exchange")
    assert (event.details["rate"], event.details["reason"]) == ("0.85", "ECB of today")
    assert issued_again(acme).net_minor == 10_000 - 2_551
    assert "credits_unused" not in {need.key for need in needs(lambda _: True, made.issued_at)}


def test_sla_credit_in_another_currency_can_be_paid_out_by_a_command(acme: Customer) -> None:
    made = issued_again(acme)
    ledger.grant(acme, Credit(acme.pk, Month(2026, 10), 10, 2_000, "USD", ""), made.issued_at)
    given = ("invoice", "pay-out", "--customer", "acme", "--currency", "USD", "--reference", "bank 7", "--reason", "x")
    assert run(*given) == {"paid": "20.00 USD"}
    assert AuditEvent.objects.filter(action="sla_credit.pay_out").count() == 1
    with pytest.raises(CommandError, match="no SLA credit left in USD"):
        run(*given)


def issued_again(acme: Customer) -> Invoice:
    result = run("invoice", "draft", "--customer", "acme", "--line", "More", "--amount", "100.00")
    (made,) = run("invoice", "issue", "--draft", str(result["draft"]))
    return Invoice.objects.get(number=made["number"])


def test_staff_without_the_right_may_look_and_do_nothing(valkey: redis.Redis, acme: Customer) -> None:
    made = issued_again(acme)
    support = User.objects.create_user("support@example.com", "support@example.com", is_staff=True)
    support.user_permissions.set(Permission.objects.filter(codename__in=("view_invoice", "view_invoicedraft")))
    one = Browser().enter(support, factor=True)
    assert made.number in text(one.get(INVOICES))
    for act in ("payment", "credit", "refund", "exchange"):
        answer = one.post(f"{INVOICES}{made.pk}/{act}/", {"amount": "1.00", "reason": "x"})
        assert answer.status_code == 403
    drafting.make(acme, currency="EUR", lines=[Line("x", 1)], now=made.issued_at)
    act = {"action": "issue", "_selected_action": [InvoiceDraft.objects.get().pk], "confirmed": "yes"}
    one.post(DRAFTS, act)
    assert Invoice.objects.count() == 1


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("Onboarding", "is no line of the form"),
        ("Onboarding | x | 1", "is no line of the form"),
        ("Onboarding | 1 | 1.001", "at most two decimals"),
        ("Onboarding | 1 | -5", "not below nothing"),
        (" | 1 | 5", "needs a text"),
    ],
)
def test_a_line_that_will_not_do_is_said_at_the_form(somebody: Browser, acme: Customer, lines: str, why: str) -> None:
    form = {"customer": acme.pk, "currency": "EUR", "payment_days": "30", "lines_text": lines}
    assert why in text(somebody.post(f"{DRAFTS}add/", form))
    assert not InvoiceDraft.objects.exists()


def test_a_draft_that_cannot_be_issued_says_what_is_missing(somebody: Browser, acme: Customer) -> None:
    BillingProfile.objects.all().delete()
    draft = drafting.make(acme, currency="EUR", lines=[Line("x", 1)], now=acme.created_at)
    assert "has no billing address" in text(somebody.get(f"{DRAFTS}{draft.pk}/change/"))
    form = {
        "customer": acme.pk,
        "name": "Acme",
        "address": "x",
        "postcode": "1",
        "city": "x",
        "country": "DE",
        "vat_id": "DE1",
        "reference": "",
        "emails": "",
    }
    assert "is no VAT id of DE" in text(somebody.post("/admin/billing/billingprofile/add/", form))
    assert somebody.post("/admin/billing/billingprofile/add/", {**form, "vat_id": ""}).status_code == 302
    assert "Total: <strong>0.01 EUR</strong>" in text(somebody.get(f"{DRAFTS}{draft.pk}/change/"))


# --- Commands


def test_commands_draft_issue_pay_credit_and_show_as_json(valkey: redis.Redis, acme: Customer) -> None:
    with pytest.raises(CommandError, match="at most two decimals"):
        run("invoice", "draft", "--customer", "acme", "--line", "x", "--amount", "1.001")
    made = run("invoice", "draft", "--customer", "acme", "--line", "More", "--amount", "10.50", "--quantity", "1.5")
    assert made["net"] == "15.75 EUR"
    assert [each["draft"] for each in run("invoice", "drafts")] == [made["draft"]]
    (shown,) = run("invoice", "issue", "--draft", str(made["draft"]), "--preview")
    assert (shown["number"], Invoice.objects.exists()) == ("Draft", False)
    (issued_,) = run("invoice", "issue", "--all-ready")
    assert issued_["total"] == "18.74 EUR"
    number = issued_["number"]
    paid = run("invoice", "pay", "--number", number, *("--amount", "8.74", "--currency", "EUR", "--reference", "b"))
    assert paid["open_minor"] == 1_000
    assert [row["state"] for row in run("invoice", "list", "--open")] == ["partly paid"]
    note = run("invoice", "credit", "--number", number, "--reason", "A mistake")
    assert note["balance"] == "8.74 EUR"
    back = run("invoice", "refund", "--customer", "acme", "--amount", "8.74", "--currency", "EUR", "--reference", "r")
    assert back["balance"] == "0.00 EUR"
    shown = run("invoice", "show", "--number", number)
    assert (shown["state"], len(shown["sha256"]), shown["document"]["number"]) == ("paid", 64, number)
    assert reading.open_invoices(acme) == []
    with pytest.raises(CommandError, match="there is no document INV-1"):
        run("invoice", "show", "--number", "INV-1")
    assert run("invoice", "draft") == {"drafts": 0, "statements": 0, "failed": 0}


# --- The seller


def problems(settings: Settings, seller: str, font: str = "") -> list[CheckMessage]:
    settings.SELLER, settings.INVOICE_FONT = seller, font
    return checks.invoices_can_be_issued(None)


def test_the_check_says_what_is_missing_before_anything_can_be_issued(settings: Settings) -> None:
    assert problems(settings, SELLER_JSON) == []
    assert [each.id for each in problems(settings, "")] == ["billing.I701"]
    for wrong, why in (
        ("no json", "no JSON object"),
        ('{"name": 1}', "no JSON object"),
        (SELLER_JSON.replace('"city"', '"town"'), "SELLER has no city"),
        (SELLER_JSON.replace('"city"', '"town"'), "'town', which is no field of it"),
        (SELLER_JSON.replace("DE136695976", "DE136695977"), "SELLER's vat_id"),
        (SELLER_JSON.replace("DE02120300000000202051", "DE00"), "no IBAN"),
        (SELLER_JSON.replace('"19"', '"190"'), "no rate in per cent"),
        (SELLER_JSON.replace('"19"', '""'), "either vat_rate or vat_exempt"),
        (SELLER_JSON.replace('"DE"', '"Germany"'), "no code of two capitals"),
    ):
        assert any(why in each.msg for each in problems(settings, wrong)), (wrong, why)
    assert [each.id for each in problems(settings, SELLER_JSON, "/nowhere.ttf")] == ["billing.E702"]


def test_a_profile_is_the_same_again_without_an_entry_in_the_log(acme: Customer) -> None:
    before = AuditEvent.objects.count()
    billed(acme)
    assert AuditEvent.objects.count() == before
