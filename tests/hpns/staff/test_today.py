"""What the staff's first page says needs somebody, and that each sentence leads to what it counts."""

from datetime import UTC, datetime, timedelta

import pytest
import redis
from django.utils import timezone

from billing import customers
from billing.models import CanaryMinute, LicenceProof, Plan, PlanVersion, Subscription
from billing.sla import keys
from billing.subscriptions.needing import needing
from delivery.outcomes import judge
from delivery.providers import table
from delivery.queue import timetable
from hpns.staff.today import Need, needs
from tenants.models import Customer, Finding
from tests.browsing import Browser, Tenant, tenant
from tests.delivery.insight import recent
from tests.hpns.staff.a_day import DAY, busy
from tests.staff_cast import of_role
from tests.tenants.management.test_commands import run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

BAD = {
    *("incidents", "canary", "finding_leaked_key", "finding_clone", "finding_replayed", "finding_contested"),
    *("credentials_bad", "subscription_stopped", "subscription_suspending", "overdue", "licence_expired"),
    *("round_failures", "lost_pushes", "sla_ledgers"),
}
WARN = {
    *("finding_restored_backup", "finding_changed_key", "finding_other_id", "licence_cases", "drafts", "erasures"),
    *("subscription_past_due", "subscription_trial", "unknown_answers"),
}
INFO = {"licence_expiring", "sla_credits"}
MONEY = {"overdue", "drafts", "sla_credits"}
KEYS = {"credentials_bad", "unknown_answers", "lost_pushes", *(f"finding_{kind.value}" for kind in Finding.Kind)}


@pytest.fixture
def acme(db: None) -> Tenant:
    return tenant("Acme")


@pytest.fixture
def now(acme: Tenant) -> datetime:
    """A busy day."""
    moment = timezone.now()
    busy(acme, moment)
    recent.push(acme.customer.pk, 3, verdict=table.verdict_of("apns_unknown"))
    recent.push(acme.customer.pk, 1, verdict=judge.refusal("lost"))
    recent.count()
    return moment


def all_of(now: datetime) -> list[Need]:
    return needs(lambda _: True, now)


def test_everything_that_needs_somebody_is_said_the_worst_first(now: datetime) -> None:
    found = all_of(now)
    assert {need.key for need in found if need.kind == "bad"} == BAD
    assert {need.key for need in found if need.kind == "warn"} == WARN
    assert {need.key for need in found if need.kind == "info"} == INFO
    assert [need.kind for need in found] == sorted((need.kind for need in found), key=("bad", "warn", "info").index)
    said = {need.key: need for need in found}
    assert said["overdue"].sentence == "1 invoice is overdue: 119.00 EUR open."
    assert said["subscription_past_due"].sentence == "2 subscriptions are past due or restricted."
    assert said["canary"].sentence == "The canary has been missing for 9 min: does the timetable run?"
    assert said["sla_ledgers"].sentence.startswith("1 SLA ledger has a broken chain: no day is sealed")
    assert said["licence_cases"].since == now - 2 * DAY
    assert said["unknown_answers"].number == 3
    assert said["lost_pushes"].sentence.startswith("1 push accepted in the last 24 hours got lost")
    assert "49.90 EUR" in said["sla_credits"].sentence


def test_each_sentence_leads_to_a_list_of_just_what_it_counts(now: datetime) -> None:
    staff = of_role("admin")
    text = staff.get("/admin/").content.decode()
    for need in all_of(now):
        assert f'href="{need.url.replace("&", "&amp;")}"' in text, need.key
        answer = staff.get(need.url)
        assert answer.status_code == 200, need.key
        listed = getattr(answer, "context_data", None) or {}
        if "cl" in listed and need.key != "canary":
            assert listed["cl"].result_count == need.number, need.key


def test_nothing_is_said_on_a_calm_day(acme: Tenant) -> None:
    assert all_of(timezone.now()) == []
    assert "Nothing needs anybody." in of_role("admin").get("/admin/").content.decode()


def test_each_role_is_told_what_is_its_own(now: datetime) -> None:
    for role, hidden in (("support", MONEY), ("finance", KEYS)):
        text = of_role(role).get("/admin/").content.decode()
        for need in all_of(now):
            link = f'<a href="{need.url.replace("&", "&amp;")}">'
            own = need.key not in hidden
            # The boards are in the index below, too: with what they are called, and not as what needs somebody.
            assert (link in text.partition('id="today"')[2].partition("</ul>")[0]) == own, (role, need.key)


def test_a_timetable_that_stands_still_is_told_also_without_a_canary(acme: Tenant, valkey: redis.Redis) -> None:
    now = valkey.time()[0]
    valkey.set(timetable.AT, now - timetable.STILL + 100)
    assert all_of(timezone.now()) == []
    valkey.set(timetable.AT, now - 7 * 86_400)
    (need,) = all_of(timezone.now())
    since = datetime.fromtimestamp(now - 7 * 86_400, UTC)
    assert (need.key, need.kind, need.since) == ("timetable", "bad", since)
    assert need.sentence.startswith(f"The timetable has sent nothing since {since:%d %B, %H:%M} UTC")
    assert "The timetable has sent nothing" in of_role("admin").get("/admin/").content.decode()


def test_a_canary_that_is_there_and_fails_is_told_with_why(now: datetime) -> None:
    at = now.replace(second=0, microsecond=0)
    CanaryMinute.objects.create(at=at, family="apns", good=False, why="apns_down", whose="provider", ms=1)
    said = {need.key: need.sentence for need in all_of(now)}
    assert said["canary"] == "The last canary failed (apns: apns_down)."
    CanaryMinute.objects.all().delete()
    assert "has never run" in {need.key: need.sentence for need in all_of(now)}["canary"]


def test_a_customer_that_was_resumed_waits_for_no_erasure(now: datetime) -> None:
    assert "erasures" in {need.key for need in all_of(now)}
    customers.resume(customer=Customer.objects.get(slug="leaving"))
    assert "erasures" not in {need.key for need in all_of(now)}


def test_a_promise_that_nothing_measures_is_told_until_there_is_a_key(now: datetime) -> None:
    plan = Plan.objects.create(code="promised", name="Promised", basis="paid", offer="hpns")
    promised = PlanVersion.objects.create(plan=plan, version=1, sla=True)
    customer = customers.add(name="Promised", offer="hpns").row
    Subscription.objects.create(customer=customer, version=promised, basis="paid", starts_at=now, anchor_at=now)
    said = {need.key: need.sentence for need in all_of(now)}
    assert said["sla_key"].startswith("1 customer is promised the SLA, and nothing is measured")
    keys.new(now=now)
    assert "sla_key" not in {need.key for need in all_of(now)}


def test_the_command_says_the_same_as_json(now: datetime) -> None:
    found = run("staff", "today")
    assert [each["key"] for each in found] == [need.key for need in all_of(now)]
    assert found[0].keys() == {"key", "kind", "number", "sentence", "since", "url"}


def test_subscriptions_are_found_by_double_use_and_by_vouching(acme: Tenant, now: datetime) -> None:
    rows, moment = Subscription.objects.all(), now + timedelta(seconds=1)
    assert needing(rows, "double", moment).count() == 4
    assert needing(rows, "vouched", moment).count() == 0
    terms = {"customer": acme.customer, "vouched": True, "reason": "x", "sku": "enterprise"}
    LicenceProof.objects.create(**terms, starts_at=now - DAY, expires_at=now + DAY)
    assert needing(rows, "vouched", moment).count() == 4
    staff: Browser = of_role("finance")
    for need in ("double", "vouched", "suspending"):
        assert staff.get("/admin/billing/subscription/", {"needs": need}).status_code == 200


def test_a_task_of_the_timetable_that_hangs_is_told_by_its_name(acme: Tenant, valkey: redis.Redis) -> None:
    now = valkey.time()[0]
    valkey.set(timetable.AT, now)
    valkey.hset(timetable.TASKS, mapping={"billing.sla": f"{now - 1_800} 300", "delivery.compact": f"{now} 60"})
    (need,) = all_of(timezone.now())
    assert (need.key, need.kind) == ("timetable", "bad")
    assert need.sentence.startswith("billing.sla, which the timetable sends, has not ended well for 30 min.")
