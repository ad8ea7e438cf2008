"""The troubles of a customer: each is caused in rows, and read as its page says it, in the pages' role."""

from datetime import timedelta
from typing import Any, Final

import pytest
from django.utils import timezone

from delivery.insight import day as days
from delivery.insight.trouble import Severity
from delivery.outcomes import judge
from delivery.providers import table
from tenants.audit import recording
from tenants.models import Credential, PushApp, Server, ServerKey
from tests.browsing import Tenant, tenant
from tests.delivery.insight.troubled import NOW, count_all, in_page, only, pushes, read, rejected
from tests.delivery.rollups.pushes import HOUR, SENT

pytestmark = pytest.mark.django_db
REFUSED: Final = table.PROVIDERS["apns"].outcomes.answers[403, "InvalidProviderToken"]
GONE: Final = table.PROVIDERS["apns"].outcomes.answers[410, "Unregistered"]


def test_where_all_is_well_there_is_none(acme: Tenant, own: PushApp) -> None:
    pushes(acme, SENT, count=60)
    pushes(acme, GONE)
    count_all()
    assert read(acme) == []


def test_a_suspension_is_said_with_its_time_and_what_was_refused_since(acme: Tenant) -> None:
    acme.customer.status = "suspended"
    acme.customer.save()
    recording.record("customer.suspend", customer=acme.customer, target="Acme")
    rejected(acme.key, "suspended", count=36)
    found = only(acme)
    assert (found.kind, found.severity, found.mark) == ("suspended", Severity.STOPPED, "bad")
    assert found.told("09:14") == "Acme is suspended: every push is refused since 09:14, 36 so far."
    assert found.since is not None
    assert found.link == "/c/acme/audit/"
    assert only(acme, server=acme.server).kind == "suspended"


@pytest.mark.parametrize("reason", ["Unpaid since May", "Unpaid since May."])
def test_the_reason_of_a_suspension_ends_with_one_full_stop(acme: Tenant, reason: str) -> None:
    acme.customer.status = "suspended"
    acme.customer.save()
    recording.record("customer.suspend", customer=acme.customer, target="Acme", reason=reason)
    assert only(acme).what_to_do.startswith("The reason given: Unpaid since May. Ask")


def test_who_is_not_entitled_is_told(acme: Tenant) -> None:
    acme.customer.entitlement.active = False
    acme.customer.entitlement.save()
    assert only(acme).sentence == "Acme has no subscription that includes pushes: each is refused"


@pytest.mark.parametrize(("code", "why"), [("licence_expired", "licence"), ("subscription_unpaid", "not paid")])
def test_a_subscription_that_is_not_in_force_is_said_once_with_the_way_to_its_page(
    acme: Tenant, own: PushApp, code: str, why: str
) -> None:
    acme.customer.entitlement.refusal = code
    acme.customer.entitlement.save()
    pushes(acme, judge.refusal(code), count=36)
    count_all()
    found = only(acme)
    assert (found.kind, found.severity, found.link) == ("subscription", Severity.STOPPED, "/c/acme/subscription/")
    assert why in found.sentence
    assert found.told().endswith(": 36 in the last 24 hours.")


def test_a_refused_credential_says_how_many_pushes_it_cost_and_they_are_not_said_twice(
    acme: Tenant, own: PushApp
) -> None:
    since = NOW - timedelta(hours=1)
    Credential.objects.update(refused_at=since, refused_code=REFUSED.code)
    pushes(acme, REFUSED, count=36, app=own.pk)
    pushes(acme, SENT, count=24)
    count_all()
    found = only(acme)
    assert found.told("09:14") == (
        "Apple refuses the key ABC123 of apple_own since 09:14: 36 of 60 pushes failed in the last 24 hours"
        " (apns_invalid_provider_token)."
    )
    assert (found.severity, found.since, found.count) == (Severity.STOPPED, since, 36)
    assert found.what_to_do == "Upload a new key, or check that this one is still listed in your Apple account."
    assert found.link == f"/c/acme/apps/{own.pk}/#upload"
    assert only(acme, app=own).kind == "credential_refused"


@pytest.mark.parametrize(
    ("spare", "text"),
    [
        (None, "No next one is there: upload it now, and it is checked at once."),
        ({"check_code": "ok"}, "The next one, DEF456, is good: promote it."),
        ({}, "Whether the next one, DEF456, is good is not known yet: check it, then promote it."),
        ({"expires_at": NOW - timedelta(days=1)}, "The next one, DEF456, is not good: replace it."),
    ],
)
def test_a_credential_that_is_about_to_end_says_whether_the_next_one_is_good(
    acme: Tenant, own: PushApp, spare: dict[str, Any] | None, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    Credential.objects.update(expires_at=NOW + timedelta(days=6, hours=1))
    if spare is not None:
        Credential.objects.create(app=own, slot="next", kind="apns_key", sealed="v1:x", key_id="DEF456", **spare)
    found = only(acme)
    assert (found.kind, found.mark) == ("credential_ends", "warn")
    assert found.sentence == "The key ABC123 of apple_own ends in 7 days"
    assert found.what_to_do == text
    part = "upload" if spare is None else f"c{Credential.objects.get(slot='next').pk}"
    assert found.link == f"/c/acme/apps/{own.pk}/#{part}"


def test_a_credential_that_has_ended_and_an_app_without_one_stop_its_pushes(acme: Tenant, own: PushApp) -> None:
    Credential.objects.update(expires_at=NOW - timedelta(days=100))
    found = only(acme)
    assert (found.kind, found.sentence) == ("credential_ended", "The key ABC123 of apple_own has ended")
    Credential.objects.all().delete()
    found = only(acme)
    assert (found.kind, found.severity) == ("no_credential", Severity.STOPPED)


def test_a_next_key_that_is_refused_is_said_before_it_is_needed(acme: Tenant, own: PushApp) -> None:
    Credential.objects.create(
        app=own, slot="next", kind="apns_key", sealed="v1:x", key_id="DEF456", refused_at=NOW, refused_code="x"
    )
    found = only(acme)
    assert (found.kind, found.mark) == ("next_refused", "warn")


def test_pushes_that_fail_say_their_cause_since_when_and_whose_it_is(acme: Tenant) -> None:
    pushes(acme, SENT, count=24, minute=40)
    for minute in (103, 104, 110):
        pushes(acme, judge.refusal("no_app"), count=12, minute=minute)
    count_all()
    found = only(acme)
    assert found.sentence == ("36 of 60 pushes failed in the last 24 hours: no mobile app is set up for its platform")
    assert found.since == HOUR + timedelta(minutes=103)
    assert (found.severity, found.whose) == (Severity.STOPPED, "your set-up")
    assert "code=no_app" in found.link


def test_failures_that_have_ended_are_still_said_for_the_day(acme: Tenant) -> None:
    pushes(acme, judge.refusal("no_app"), count=12, minute=-600)
    pushes(acme, SENT, count=24)
    count_all()
    found = only(acme)
    assert found.sentence.startswith("12 of 36 pushes failed in the last 24 hours, none of them in the last hour: ")
    assert (found.since, found.severity) == (None, Severity.FAILING)


def test_a_phone_in_many_is_a_warning(acme: Tenant) -> None:
    pushes(acme, judge.refusal("missing_device_id"))
    pushes(acme, SENT, count=99)
    count_all()
    assert only(acme).mark == "warn"


def test_a_hundred_kinds_of_failures_become_a_few_sentences(acme: Tenant) -> None:
    for code in ("no_app", "malformed", "too_large", "missing_platform", "missing_device_id", "queue_full"):
        pushes(acme, judge.refusal(code), count=len(code))
    count_all()
    assert [each.kind for each in read(acme)] == ["failures"] * 5
    assert "for 2 other reasons" in " ".join(each.sentence for each in read(acme))


def test_servers_without_a_key_are_named_and_too_many_are_counted(acme: Tenant) -> None:
    ServerKey.objects.update(revoked_at=NOW)
    found = only(acme)
    assert found.sentence == (
        "chat.acme.example has no key in use: each was revoked or has expired, and pushes with it are refused"
    )
    assert (found.since, found.severity) == (NOW, Severity.STOPPED)
    Server.objects.bulk_create(Server(customer=acme.customer, name=f"s{number}") for number in range(10))
    assert "s0, s1, s2 and 7 more have no key yet and cannot push" in [each.sentence for each in read(acme)]


def test_who_has_no_app_is_told(acme: Tenant) -> None:
    PushApp.objects.all().delete()
    assert only(acme).kind == "no_app"


def test_another_customers_troubles_are_its_own(acme: Tenant) -> None:
    cosmos = tenant("Cosmos")
    rejected(cosmos.key, "revoked_key")
    pushes(cosmos, judge.refusal("no_app"), count=12)
    count_all()
    assert read(acme) == []


def test_the_worst_comes_first(acme: Tenant, own: PushApp) -> None:
    pushes(acme, judge.refusal("missing_device_id"))
    pushes(acme, SENT, count=99)
    count_all()
    rejected(acme.key, "wrong_network", NOW - timedelta(hours=3))
    acme.customer.status = "suspended"
    acme.customer.save()
    assert [each.kind for each in read(acme)] == ["suspended", "door", "failures"]


def test_a_day_counts_what_became_of_its_pushes_and_since_when_they_fail(acme: Tenant) -> None:
    for verdict, count, minute in ((SENT, 24, 40), (GONE, 2, 100), (judge.refusal("no_app"), 36, 64)):
        pushes(acme, verdict, count=count, minute=minute)
    pushes(acme, SENT, count=5, minute=-1_400)
    count_all()
    with in_page(acme):
        day = days.read(NOW)
    assert (day.counts.pushes, day.counts.sent, day.counts.gone, day.counts.failed) == (62, 24, 2, 36)
    assert day.pushes_last_hour == 38
    (failure,) = day.counts.failures
    assert failure.run is not None
    assert failure.run.first == HOUR + timedelta(minutes=64)
    chart = day.chart("Pushes")
    assert [sum(filter(None, one.values)) for one in chart.series] == [24, 36, 2]
