"""The running month is counted, mails about quotas go out once, and limits come after they were announced and go."""

import threading
from datetime import datetime, timedelta

import pytest
import redis
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from billing import entitlements
from billing.facts import Month, Terms
from billing.models import UsageLimit, UsageNotice, UsageRunning
from billing.offers import TERMS
from billing.usage import closing, counting, limiting, reading, watching
from billing.usage.sources import Sources
from tenants import scope
from tenants.audit import recording
from tenants.models import AuditEvent, Entitlement, Role
from tests.billing.usage.used import at, devices, known, pushes, since, terms
from tests.browsing import Tenant, member, tenant
from tests.roles import PAGES, WORKER, acting_as
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def acme(valkey: redis.Redis, settings: Settings) -> Tenant:
    settings.PUBLIC_URL = "https://push.example.com"
    made = tenant("Acme")
    member("ada", made.customer, Role.OWNER)
    member("dora", made.customer, Role.ADMIN)
    since(made.customer, at(1, 3))
    entitlements.change(customer=made.customer, rate=2_000, burst=100_000)
    return made


def subjects() -> list[str]:
    return [each.subject for each in mail.outbox]


def look(now: datetime, plan: Terms | None = None, **more: object) -> None:
    """Let the timetable run at that time."""
    watching.watch_all(now, known(plan or terms(), **more))  # type: ignore[arg-type]


def limits(acme: Tenant) -> tuple[int | None, int | None]:
    row = Entitlement.objects.get(customer=acme.customer)
    return row.rate, row.burst


def test_the_running_month_is_kept_with_its_share(acme: Tenant) -> None:
    pushes(acme, at(11, 5), 500)
    devices(acme, at(11, 5), "abc", 5)
    look(at(11, 6), terms(included_devices=5))
    row = UsageRunning.objects.get()
    assert (row.pushes, row.devices, row.percent, row.included_pushes) == (500, 3, 60, 1_000)
    look(at(11, 7), terms(included_pushes=None))
    assert UsageRunning.objects.get().percent is None


def test_what_is_settled_is_read_out_of_the_last_count_and_the_rest_out_of_the_days(acme: Tenant) -> None:
    for day in (1, 17, 18, 19, 20):
        pushes(acme, at(11, day), day)
    devices(acme, at(11, 1), "ab", 1)
    look(at(11, 20))
    pushes(acme, at(11, 20), 100)
    november = Month(2026, 11)
    assert UsageRunning.objects.get().settled_until == at(11, 19).date()
    with CaptureQueriesContext(connection) as queries:
        found = reading.detail(acme.customer, november, at(11, 20, 11), known()).figures
    assert found == counting.count(acme.customer, november, at(11, 20, 11), known())
    (days,) = [each["sql"] for each in queries if "delivery_day_now" in each["sql"]]
    assert "2026-11-19T00:00" in days or "2026-11-19 00:00" in days
    assert not [each["sql"] for each in queries if "delivery_hour" in each["sql"]]
    # What comes late to a settled day is seen after the next count, and exactly at once.
    pushes(acme, at(11, 17), 1_000)
    assert reading.detail(acme.customer, november, at(11, 20, 11), known()).figures.pushes == found.pushes
    assert reading.usage(acme.customer, november, at(11, 20, 11), known()).pushes == found.pushes + 1_000
    look(at(11, 20, 12))
    assert reading.detail(acme.customer, november, at(11, 20, 12), known()).figures.pushes == found.pushes + 1_000


def test_a_count_that_is_days_old_only_makes_a_page_read_more_hours(acme: Tenant) -> None:
    pushes(acme, at(11, 2), 1)
    look(at(11, 3))
    for day in (4, 9, 20):
        pushes(acme, at(11, day), day)
    found = reading.detail(acme.customer, Month(2026, 11), at(11, 20, 11), known()).figures
    assert found == counting.count(acme.customer, Month(2026, 11), at(11, 20, 11), known())


def test_a_clock_that_was_ahead_settles_nothing(acme: Tenant) -> None:
    pushes(acme, at(11, 2), 1)
    pushes(acme, at(11, 20), 5)
    look(at(11, 22))
    found = reading.detail(acme.customer, Month(2026, 11), at(11, 3), known()).figures
    assert (found.pushes, found.by_day) == (1, (0, 1, 0))


def test_pushes_that_reached_no_device_are_no_devices_once_they_were_counted(acme: Tenant) -> None:
    pushes(acme, at(11, 2), 5, outcome="failed")
    assert reading.detail(acme.customer, Month(2026, 11), at(11, 3), known()).figures.devices is None
    look(at(11, 3))
    assert reading.detail(acme.customer, Month(2026, 11), at(11, 3), known()).figures.devices == 0


def test_at_80_and_100_percent_the_owners_are_told_once_each(acme: Tenant) -> None:
    pushes(acme, at(11, 5), 799)
    look(at(11, 5))
    assert subjects() == []
    pushes(acme, at(11, 6), 1)
    for _ in range(3):
        look(at(11, 6))
    assert subjects() == ["Acme has used 80 % of its pushes for November 2026"]
    pushes(acme, at(11, 7), 200)
    for day in range(7, 14):
        look(at(11, day, 3))
    assert subjects()[1:] == ["Acme has used all of its pushes for November 2026"]
    assert {address for each in mail.outbox for address in each.to} == {"ada@acme.example"}
    assert "until 14 Nov 2026, 03:00 UTC, or until 120 % are used" in mail.outbox[1].body
    event = AuditEvent.objects.filter(action="quota.tell").latest("at")
    assert (event.target, event.details["pushes"]) == ("pushes full", 1_000)


def test_contacts_for_billing_are_told_too_each_address_once(acme: Tenant) -> None:
    pushes(acme, at(11, 5), 800)
    look(at(11, 5), contacts=lambda _: ["bills@acme.example", "ADA@acme.example"])
    assert sorted(each.to[0] for each in mail.outbox) == ["ada@acme.example", "bills@acme.example"]


def test_after_forty_days_without_the_timetable_there_is_one_mail_about_the_month_that_runs(acme: Tenant) -> None:
    pushes(acme, at(11, 5), 5_000)
    pushes(acme, at(12, 2), 1_100)
    look(at(12, 15))
    assert subjects() == ["Acme has used all of its pushes for December 2026"]
    assert limits(acme) == (2_000, 100_000)


def test_each_month_begins_anew(acme: Tenant) -> None:
    pushes(acme, at(11, 5), 900)
    look(at(11, 5))
    look(at(12, 5))
    pushes(acme, at(12, 6), 900)
    look(at(12, 6))
    assert [each.rpartition(" for ")[2] for each in subjects()] == ["November 2026", "December 2026"]


def test_limits_are_announced_a_week_ahead_and_end_with_the_month(acme: Tenant) -> None:
    pushes(acme, at(11, 3), 1_500)
    look(at(11, 3))
    look(at(11, 3, 11))
    assert subjects()[1:] == ["Pushes of Acme become slower on 10 Nov 2026"]
    assert "Pushes that wipe a device when a session is revoked are not limited" in mail.outbox[1].body
    look(at(11, 10, 10))
    assert limits(acme) == (2_000, 100_000)
    look(at(11, 10, 12))
    assert limits(acme) == (1, 60)
    look(at(11, 30, 23))
    assert limits(acme) == (1, 60)
    look(at(12, 1, 0))
    assert limits(acme) == (2_000, 100_000)
    row = UsageLimit.objects.get()
    assert (row.began_at, row.ended_at) == (at(11, 10, 12), at(12, 1, 0))
    actions = AuditEvent.objects.filter(action__startswith="quota.").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["quota.tell", "quota.tell", "quota.limit", "quota.free"]
    assert len(mail.outbox) == 2


def test_limits_end_with_a_larger_plan(acme: Tenant) -> None:
    pushes(acme, at(11, 3), 1_500)
    for day in (3, 4, 12):
        look(at(11, day))
    assert limits(acme) == (1, 60)
    look(at(11, 13), terms(included_pushes=50_000))
    assert limits(acme) == (2_000, 100_000)


def test_what_staff_have_set_meanwhile_stays(acme: Tenant) -> None:
    pushes(acme, at(11, 3), 1_500)
    for day in (3, 4, 12):
        look(at(11, day))
    entitlements.change(customer=acme.customer, rate=7, burst=70)
    look(at(12, 1))
    assert limits(acme) == (7, 70)
    assert limiting.in_force(acme.customer) is None


def test_another_offer_leaves_the_limits_of_a_quota_in_force_and_comes_after_them(acme: Tenant) -> None:
    pushes(acme, at(11, 5), 1_300)
    for day in (6, 7, 15):
        look(at(11, day))
    lowered = limits(acme)
    assert lowered < (5, 100)
    somebody = recording.Actor("staff", "x", User.objects.create_user("sam", is_staff=True).pk)
    with acting_as(PAGES), scope.staff(), recording.acting(somebody):
        entitlements.to_offer(customer=acme.customer, offer="tpns")
        assert limits(acme) == lowered
        entitlements.to_offer(customer=acme.customer, offer="eas")
    assert limits(acme) == lowered
    assert Entitlement.objects.get().in_flight == TERMS["eas"].limits.in_flight
    look(at(12, 1))
    assert limits(acme) == (TERMS["eas"].limits.rate, TERMS["eas"].limits.burst)


def test_limits_never_raise_what_was_agreed_on(acme: Tenant) -> None:
    entitlements.change(customer=acme.customer, rate=1, burst=5)
    assert limiting.lower(acme.customer, terms(included_pushes=10**9), 99, at(11, 3), known())
    assert limits(acme) == (1, 5)


def test_the_burst_stays_large_enough_to_wipe_the_devices_of_the_month_before(acme: Tenant) -> None:
    since(acme.customer, at(10, 1))
    devices(acme, at(10, 1), [f"d{number}" for number in range(200)], 5)
    devices(acme, at(11, 1), "ab", 5)
    closing.close_all(at(11, 3), known())
    pushes(acme, at(11, 3), 1_500)
    for day in (3, 4, 12):
        look(at(11, day))
    assert limits(acme) == (1, 400)


def test_a_mail_that_reached_nobody_is_sent_the_next_time(acme: Tenant, settings: Settings) -> None:
    pushes(acme, at(11, 5), 1_100)
    settings.EMAIL_BACKEND = "tests.billing.usage.no_mail.Backend"
    look(at(11, 5))
    assert UsageNotice.objects.count() == 0
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    look(at(11, 5, 11))
    assert subjects() == ["Acme has used all of its pushes for November 2026"]


def test_without_anybody_to_tell_no_limits_come(acme: Tenant) -> None:
    acme.customer.memberships.all().delete()
    pushes(acme, at(11, 3), 5_000)
    for day in range(3, 28):
        look(at(11, day))
    assert mail.outbox == []
    assert limits(acme) == (2_000, 100_000)


def test_who_is_nobodys_usage_is_not_counted(acme: Tenant) -> None:
    look(at(11, 3), left_out=lambda: {acme.customer.pk})
    assert UsageRunning.objects.count() == 0


def test_devices_with_a_price_are_told_with_it(acme: Tenant) -> None:
    devices(acme, at(11, 3), "abc", 3)
    look(at(11, 3), terms(included_devices=3, device_price_minor=150))
    assert subjects() == ["Acme has used all of its active devices for November 2026"]
    assert "Nothing is limited: each one more costs 1.50 EUR a month." in mail.outbox[0].body


def test_the_worker_may_do_all_of_it(acme: Tenant) -> None:
    pushes(acme, at(11, 3), 1_500)
    with acting_as(WORKER):
        for now in (at(11, 3), at(11, 4), at(11, 12), at(12, 1)):
            look(now)
    assert UsageLimit.objects.get().ended_at == at(12, 1)


@pytest.mark.django_db(transaction=True)
def test_two_processes_at_once_tell_and_limit_once(acme: Tenant) -> None:
    pushes(acme, at(11, 3), 1_500)
    start = threading.Barrier(2, timeout=PATIENCE)

    def run(now: datetime, sources: Sources) -> None:
        try:
            start.wait()
            watching.watch_all(now, sources)
        finally:
            connection.close()

    for now in (at(11, 3), at(11, 4), at(11, 12)):
        threads = [threading.Thread(target=run, args=(now, known(terms()))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    # Who finds the lock held leaves all of it to the next run.
    look(at(11, 12))
    assert len(subjects()) == len(set(subjects())) == 2
    assert UsageLimit.objects.count() == 1
