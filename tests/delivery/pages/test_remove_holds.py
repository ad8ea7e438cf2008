"""A hold on removing devices, from the fuse that has tripped to the page that ends it, and to the e-mails about it."""

import json
from datetime import timedelta
from typing import Final

import pytest
import redis
from django.contrib.messages import get_messages
from django.core import mail as outbox
from django.utils import timezone
from pytest_django import Settings

from delivery.devices import remove_counts
from delivery.devices.remove_fuse import TRIPPED, Tripped
from delivery.insight.trouble import Severity
from delivery.worker import remove_reports
from tenants import services
from tenants.credentials import mails
from tenants.directory.live import Directory
from tenants.directory.snapshot import RemoveHoldRow
from tenants.models import AuditEvent, Credential, PushApp, RemoveHold, Role
from tests.browsing import Browser, Tenant, member, tenant
from tests.delivery.insight.troubled import read

pytestmark = pytest.mark.django_db
CODE: Final = "apns_bad_device_token"


@pytest.fixture
def acme(db: None) -> Tenant:
    """A customer."""
    return tenant("Acme")


@pytest.fixture
def cosmos(db: None) -> Tenant:
    """Another one."""
    return tenant("Cosmos")


@pytest.fixture
def credential(acme: Tenant) -> Credential:
    """Of an app of Acme's own."""
    app = PushApp.objects.create(
        customer=acme.customer, label="apple_own", topic="com.example", family="apns", host="production"
    )
    return Credential.objects.create(app=app, kind="apns_key", sealed="v1:x", key_id="KEY1234567")


def trip(store: redis.Redis, acme: Tenant, credential: Credential) -> list[RemoveHold]:
    """What comes of it when two processes report the same."""
    report = Tripped(acme.customer.pk, credential.pk, 6, 46, CODE)
    store.rpush(TRIPPED, json.dumps(report), json.dumps(report))
    return remove_reports.write(store)


def test_a_fuse_that_has_tripped_is_written_down_and_mailed_once_to_the_customer_and_the_operator(
    acme: Tenant, credential: Credential, valkey: redis.Redis, settings: Settings
) -> None:
    settings.OPERATOR_EMAIL = ["staff@push.example"]
    services.customer_contacts(customer=acme.customer, contacts=["ada@acme.example"])
    (due,) = trip(valkey, acme, credential)
    mails.remove_held(due)
    assert [each.to for each in outbox.outbox] == [["ada@acme.example"], ["staff@push.example"]]
    for each in outbox.outbox:
        assert "no device is removed, because 6 would have been at once" in each.subject
        assert "6 of 46 devices of Acme" in each.body
        assert "KEY1234567" in each.body
    assert AuditEvent.objects.filter(action="remove.hold").count() == 1
    assert trip(valkey, acme, credential) == []
    services.remove_hold_release(hold=due, by_hand=False)
    assert trip(valkey, acme, credential) == [], "the next e-mail comes a day later"
    assert RemoveHold.objects.get().held_at is not None
    RemoveHold.objects.update(held_at=None, mailed_at=timezone.now() - timedelta(days=2))
    assert len(trip(valkey, acme, credential)) == 1


def test_the_processes_hear_of_a_hold_and_of_its_release_by_the_directory(
    acme: Tenant, credential: Credential, valkey: redis.Redis
) -> None:
    trip(valkey, acme, credential)
    directory = Directory()
    directory.load()
    pair = (acme.customer.pk, credential.pk)
    assert directory.remove_hold(*pair) == RemoveHoldRow(*pair, held=True)
    assert directory.remove_hold(acme.customer.pk + 1, credential.pk) is None
    services.remove_hold_release(hold=RemoveHold.objects.get(), by_hand=True)
    directory.load()
    released = directory.remove_hold(*pair)
    assert released is not None
    assert (released.held, timezone.now().timestamp() - released.released_at < 60) == (False, True)
    RemoveHold.objects.update(released_at=timezone.now() - timedelta(days=1))
    directory.load()
    assert directory.remove_hold(*pair) is None


def test_since_when_a_credential_signs_is_in_the_directory_and_begins_anew_with_each_change(
    acme: Tenant, credential: Credential, valkey: redis.Redis
) -> None:
    directory = Directory()

    def since() -> float:
        directory.load()
        app = directory.route(acme.customer.pk, "apple_own", "apns")
        assert app is not None
        return app.signs_since

    Credential.objects.update(signs_since=timezone.now() - timedelta(hours=1))
    hour = since()
    assert 3500 < timezone.now().timestamp() - hour < 3700
    services.app_change(app=credential.app, topic="com.example.other")
    changed = since()
    assert changed > hour + 3000
    Credential.objects.update(signs_since=timezone.now() - timedelta(hours=1))
    spare = Credential.objects.create(
        app=credential.app, slot="next", kind="apns_key", sealed="v1:y", key_id="NEXT123456"
    )
    assert since() < changed - 3000, "the next one does not sign"
    services.credential_promote(app=credential.app, expected_id=spare.pk)
    assert since() >= changed


def test_a_hold_ends_by_itself_when_the_fuse_would_not_trip_any_more_and_not_before(
    acme: Tenant, credential: Credential, valkey: redis.Redis
) -> None:
    (hold,) = trip(valkey, acme, credential)
    assert remove_reports.release_settled(valkey) == 0, "what led to it is in the window still"
    RemoveHold.objects.update(held_at=timezone.now() - timedelta(minutes=11))
    pair, now = (acme.customer.pk, credential.pk), float(valkey.time()[0])
    _, script, keys, *rest = remove_counts.look(pair, (), [b"%d" % number for number in range(9)], now)
    valkey.eval(script, int(keys), *rest)
    assert remove_reports.release_settled(valkey) == 0, "it would trip"
    valkey.delete(*valkey.keys("remove:*"))
    assert remove_reports.release_settled(valkey) == 1
    hold.refresh_from_db()
    assert (hold.held_at, hold.released_at) == (None, None), "nobody has lifted the fuse"
    assert AuditEvent.objects.filter(action="remove.release").count() == 1


def test_the_customers_pages_say_it_and_an_owner_ends_it_on_the_apps_page(
    acme: Tenant, credential: Credential, valkey: redis.Redis
) -> None:
    trip(valkey, acme, credential)
    (found,) = [each for each in read(acme) if each.kind == "remove_held"]
    assert (found.severity, found.link) == (Severity.WARNING, f"/c/acme/apps/{credential.app_id}/#removes")
    assert "6 of 46 would have been within ten minutes" in found.told()
    page, hold = f"/c/acme/apps/{credential.app_id}/", RemoveHold.objects.get()
    address = f"/c/acme/apps/removes/{hold.pk}/release/"
    admin = Browser().enter(member("dora", acme.customer, Role.ADMIN))
    assert "An owner can end it at once." in admin.get(page).content.decode()
    assert admin.post(address).status_code == 403
    owner = Browser().enter(member("ada", acme.customer, Role.OWNER))
    assert address in owner.get(page).content.decode()
    answer = owner.post(address)
    assert (answer.status_code, answer["Location"]) == (302, page)
    assert [str(each) for each in get_messages(answer.wsgi_request)] == ["Devices of apple_own are removed again."]
    hold.refresh_from_db()
    assert (hold.held_at, hold.released_at is None) == (None, False)
    assert AuditEvent.objects.get(action="remove.release").actor.startswith("ada")
    assert not [each for each in read(acme) if each.kind == "remove_held"]


def test_another_customers_hold_is_not_there_for_an_owner(
    acme: Tenant, cosmos: Tenant, credential: Credential, valkey: redis.Redis
) -> None:
    trip(valkey, acme, credential)
    owner = Browser().enter(member("cleo", cosmos.customer, Role.OWNER))
    address = f"/c/cosmos/apps/removes/{RemoveHold.objects.get().pk}/release/"
    assert owner.post(address).status_code == 404
    assert RemoveHold.objects.get().held_at is not None


def test_of_a_shared_app_it_is_said_on_the_page_of_all_apps(acme: Tenant, valkey: redis.Redis) -> None:
    app = PushApp.objects.create(label="apple_rn", topic="com.mattermost.rn", family="apns", host="production")
    shared = Credential.objects.create(app=app, kind="apns_key", sealed="v1:x", key_id="SHARED1234")
    trip(valkey, acme, shared)
    owner = Browser().enter(member("ada", acme.customer, Role.OWNER))
    text = owner.get("/c/acme/apps/").content.decode()
    assert "Let devices of apple_rn be removed" in text
    assert "SHARED1234" not in text
    answer = owner.post(f"/c/acme/apps/removes/{RemoveHold.objects.get().pk}/release/")
    assert answer["Location"] == "/c/acme/apps/"


def test_the_apps_own_page_leads_to_the_part_that_is_meant_and_not_to_itself(
    acme: Tenant, credential: Credential, valkey: redis.Redis
) -> None:
    trip(valkey, acme, credential)
    owner, page = Browser().enter(member("ada", acme.customer, Role.OWNER)), f"/c/acme/apps/{credential.app_id}/"
    assert f'href="{page}#removes">See the app</a>' in owner.get("/c/acme/").content.decode()
    for query in ("", "?x=1"):
        text = owner.get(page + query).content.decode()
        assert '<a href="#removes">See below</a>' in text
        assert "See the app" not in text
