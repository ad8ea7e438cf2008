"""The SLA's pages: a customer's month, its files, the reconciliation, what is public, and the staff's board."""

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from billing.facts import Month
from billing.sla import judging, keys, reconciling, running
from billing.sla import sources as wiring
from billing.sla.judging import MINUTE
from billing.sla.sources import Price
from billing.sla.verifier import verify_sla
from delivery.outcomes import judge
from delivery.rollups.rebuilding import rebuild
from tenants.models import Customer
from tests.billing.sla.facts import pushes, sources
from tests.browsing import Browser, Tenant, browser, staff, tenant
from tests.delivery.logged_pushes import log

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
DAYS = 8


@pytest.fixture
def priced() -> Iterator[None]:
    """Every plan has the SLA, and the canary is well."""
    before = wiring.wired()
    wiring.wire(sources(canary={}, price=Price(49_900, "EUR")))
    yield
    wiring.wire(before)


@pytest.fixture
def acme(priced: None) -> Tenant:
    """A customer since eight days before the month that is not closed yet, with an outage in them and one today."""
    return measured(tenant("Acme"))


def measured(found: Tenant, outage: int = 60) -> Tenant:
    now = timezone.now()
    begin = judging.midnight(open_month() - timedelta(days=DAYS)) + timedelta(hours=3)
    if not keys.public_keys():
        keys.new(now=begin)
    Customer.objects.filter(pk=found.customer.pk).update(created_at=begin)
    for day in range(DAYS):
        pushes(found.customer, begin + timedelta(days=day, hours=2), sent=4_000)
    for number in range(outage):
        pushes(found.customer, begin + number * MINUTE, ours=2)
    today = now.replace(second=0, microsecond=0) - timedelta(minutes=30)
    pushes(found.customer, today, ours=30, sent=3)
    running.round_(now, wiring.wired())
    return found


def open_month() -> date:
    """The first day of the oldest month that is not closed."""
    return (timezone.now().date() - timedelta(days=2)).replace(day=1)


def is_early() -> bool:
    """Whether the pushes of today, of up to forty minutes ago, may be another month's than the one that is shown."""
    now = timezone.now()
    return (now - timedelta(minutes=45)).month != now.month


def last_month() -> Month:
    return judging.month_of(open_month() - timedelta(days=1))


def test_the_month_so_far_is_answered_in_a_sentence_with_its_credit(acme: Tenant) -> None:
    owner = browser(acme.customer, "owner")
    page = owner.get("/c/acme/sla/").content.decode()
    assert f"% uptime so far in {timezone.now():%B %Y}" in page
    assert "Error budget left" in page
    if not is_early():
        assert "more pushes failed by us than the promise bears" in page
        assert "delivery/pushes/?from=" in page
    for month in ("2026-13", "x", "9999-01", "0001-01", ""):
        assert owner.get(f"/c/acme/sla/?month={month}").status_code == 200, month


def test_a_month_that_is_over_tells_what_was_credited_and_money_to_those_who_may_see_it(acme: Tenant) -> None:
    address = f"/c/acme/sla/?month={last_month().first:%Y-%m}"
    owner = browser(acme.customer, "owner").get(address).content.decode()
    viewer = browser(acme.customer, "viewer").get(address).content.decode()
    assert "you were credited 10 %" in owner
    assert "10 %, 49.90 EUR" in owner
    assert "10 %" in viewer
    assert "49.90" not in viewer


def test_nothing_is_said_to_come_by_itself_where_there_is_no_sla(acme: Tenant) -> None:
    one = browser(acme.customer, "viewer")
    assert "It is given by itself" in one.get("/c/acme/sla/").content.decode()
    wiring.wire(sources(canary={}))
    assert "It is given by itself" not in one.get("/c/acme/sla/").content.decode()


def test_a_customer_without_a_ledger_learns_when_it_begins(db: None) -> None:
    found = tenant("Acme")
    page = browser(found.customer, "viewer").get("/c/acme/sla/").content.decode()
    assert "Nothing has been measured" in page
    assert "Your plan has no SLA" in page


def test_the_zip_of_a_month_is_verified_by_the_served_program_and_the_published_roots(
    acme: Tenant, tmp_path: Path
) -> None:
    one, month = browser(acme.customer, "viewer"), last_month()
    packed = one.get(f"/c/acme/sla/files/{month.year}-{month.month}.zip")
    published = Browser().get("/.well-known/hpns-sla.json")
    assert "public" in published["Cache-Control"]
    files = zipfile.ZipFile(io.BytesIO(packed.content))
    assert b"verify_sla.py" in files.read("README.txt")
    told = verify_sla.verify(files.read, files.namelist(), json.loads(published.content))
    assert told["credit_percent"] == 10
    assert Browser().get("/sla/verify_sla.py").content == Path(verify_sla.__file__).read_bytes()
    assert one.get("/c/acme/sla/files/2020-1.zip").status_code == 404
    assert one.get("/c/acme/sla/files/2020-13.zip").status_code == 404
    year = timezone.now().year
    assert json.loads(Browser().get(f"/.well-known/hpns-sla.json?year={year - 9}").content)["roots"] == []


IDS = {"sent": "a" * 26, "ours": "b" * 26, "own": "c" * 26, "unknown": "d" * 26}


def logged(found: Tenant) -> None:
    log(found, "0123456789ab-1", ack_id=IDS["sent"])
    log(found, "0123456789ab-2", judge.refusal("internal_error"), ack_id=IDS["ours"])
    log(found, "0123456789ab-3", judge.refusal("no_app"), ack_id=IDS["own"])
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    rebuild(now - timedelta(hours=2), now + timedelta(hours=1))


def test_ack_ids_are_reconciled_each_with_how_it_counts(db: None) -> None:
    found = tenant("Acme")
    logged(found)
    text = json.dumps({"msg": "push", "ackId": IDS["sent"]}) + f"\nno id here at all!\n{IDS['ours']}, {IDS['own']}\n"
    text += f'level=info ack_id="{IDS["unknown"]}"'
    one = browser(found.customer, "viewer")
    page = one.post("/c/acme/sla/reconcile/", {"text": text}).content.decode()
    assert "3 of 4 ack_ids are known; 1 of their pushes count as failed by us." in page
    assert "1 line named no ack_id" in page
    given = {"file": SimpleUploadedFile("log.txt", text.encode()), "csv": "1"}
    csv = one.post("/c/acme/sla/reconcile/", given).content.decode().splitlines()
    assert [line.split(",")[:2] + line.split(",")[3:6] for line in csv[1:]] == [
        [IDS["sent"], "yes", "sent", "sent", "valid"],
        [IDS["ours"], "yes", "failed", "internal_error", "failed by us"],
        [IDS["own"], "yes", "refused", "no_app", "not counted: no valid event"],
        [IDS["unknown"], "no", "", "", "not known"],
    ]


def test_another_customers_pushes_are_not_known(db: None) -> None:
    logged(tenant("Acme"))
    cosmos = browser(tenant("Cosmos").customer, "owner")
    page = cosmos.post("/c/cosmos/sla/reconcile/", {"text": IDS["sent"]}).content.decode()
    assert "0 of 1 ack_ids are known" in page


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "No ack_id was found"),
        ("{", "No ack_id was found"),
        ("[" * 5_000, "No ack_id was found"),
        ('{"a":' * 5_000 + "1", "No ack_id was found"),
        ("\n".join(f"{number:026d}" for number in range(10_001)), "More than 10,000"),
    ],
)
def test_what_names_no_ack_id_or_too_many_is_refused(db: None, text: str, why: str) -> None:
    one = browser(tenant("Acme").customer, "viewer")
    assert why in one.post("/c/acme/sla/reconcile/", {"text": text}).content.decode()


def test_ten_thousand_ids_are_taken_at_once(db: None) -> None:
    found = tenant("Acme")
    logged(found)
    text = "\n".join([IDS["sent"], *(f"{number:026d}" for number in range(9_999))])
    page = browser(found.customer, "viewer").post("/c/acme/sla/reconcile/", {"text": text}).content.decode()
    assert "1 of 10,000 ack_ids are known" in page
    assert len(page) < 100_000


def test_ids_are_found_in_lists_and_log_lines() -> None:
    named = reconciling.named(
        '{"a": {"ackId": "x1"}}\n{"ackId": 5}\n x2;x3 ,x4\nsome words\nackId=x5 foo\n{"ackId": "x6"'
    )
    assert named.ack_ids == ["x1", "x2", "x3", "x4", "some", "words", "x5", "x6"]
    assert named.unclear == 1


def test_staff_see_the_worst_customer_first_and_who_had_bad_minutes(acme: Tenant) -> None:
    pushes(acme.customer, timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=40), ours=1_500)
    cosmos, both = tenant("Cosmos"), timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=35)
    for one in (acme, cosmos):
        pushes(one.customer, both, ours=30)
    measured(cosmos, outage=0)
    board = Browser().enter(staff(), factor=True).get("/admin/boards/sla/").content.decode()
    assert ">Cosmos<" in board
    if not is_early():
        assert board.index(">Acme<") < board.index(">Cosmos<")
        assert "Acme, Cosmos" in board
        assert "We failed" in board
    assert "/c/acme/sla/" in board


def test_the_board_says_so_when_nothing_is_measured(db: None) -> None:
    board: Any = Browser().enter(staff(), factor=True).get("/admin/boards/sla/").content.decode()
    assert "No customer has a ledger" in board
    assert "sla key new" in board
