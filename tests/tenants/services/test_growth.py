"""Nobody fills the memory of every process: servers, keys and apps of a customer have quotas."""

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connections
from django.utils import timezone

from billing import entitlements
from tenants import services
from tenants.models import PushApp, Server, ServerKey
from tenants.problem import ProblemError
from tenants.services import growth
from tests.tenants.conftest import Acme

ADD: dict[str, Callable[[Acme, int], object]] = {
    "server": lambda acme, number: services.server_add(customer=acme.customer, name=f"server {number}"),
    "key": lambda acme, number: services.key_add(server=acme.server, name=f"key {number}"),
    "app": lambda acme, number: services.app_add(customer=acme.customer, label=f"apple_{number}", topic="com.x"),
}


@pytest.mark.parametrize(("what", "there"), [("server", 1), ("key", 1), ("app", 0)])
def test_a_customer_has_no_more_than_its_quota_is_told_what_to_do_and_staff_can_raise_it(
    acme: Acme, what: str, there: int
) -> None:
    entitlements.change(customer=acme.customer, **{f"{what}_quota": 3})
    for number in range(3 - there):
        ADD[what](acme, number)
    with pytest.raises(ProblemError, match=rf"3 {what}s are all that can be had here: .* or ask for more \("):
        ADD[what](acme, 9)
    entitlements.change(customer=acme.customer, **{f"{what}_quota": 4})
    ADD[what](acme, 10)
    entitlements.change(customer=acme.customer, **{f"{what}_quota": None})
    ADD[what](acme, 11)


def test_the_same_server_again_is_no_other_one_and_other_customers_count_apart(acme: Acme) -> None:
    entitlements.change(customer=acme.customer, server_quota=1)
    assert not services.server_add(customer=acme.customer, name=acme.server.name).changed


def test_keys_that_are_revoked_make_room_but_not_for_more_than_the_quota_in_a_day(acme: Acme) -> None:
    entitlements.change(customer=acme.customer, key_quota=2)
    services.key_revoke(key=services.key_add(server=acme.server).row)
    with pytest.raises(ProblemError, match="2 new keys in a day are the most: go on tomorrow"):
        services.key_add(server=acme.server)
    ServerKey.objects.update(created_at=timezone.now() - timedelta(days=2))
    services.key_add(server=acme.server)


def test_an_app_is_enabled_again_only_within_the_quota(acme: Acme) -> None:
    first = services.app_add(customer=acme.customer, label="apple_one", topic="com.x").row
    services.app_enable(app=first, enabled=False)
    services.app_add(customer=acme.customer, label="apple_two", topic="com.x")
    entitlements.change(customer=acme.customer, app_quota=1)
    with pytest.raises(ProblemError, match="1 apps are all"):
        services.app_enable(app=first, enabled=True)
    assert PushApp.objects.filter(customer=acme.customer, enabled=True).count() == 1


def test_a_server_has_few_server_ids(acme: Acme) -> None:
    for number in range(growth.SERVER_IDS_MAX):
        services.server_id_add(server=acme.server, mattermost_id=f"id-{number}")
    with pytest.raises(ProblemError, match="20 server_ids at most: remove one of them first"):
        services.server_id_add(server=acme.server, mattermost_id="one-more")
    services.server_id_add(server=acme.server, mattermost_id="id-0")


@pytest.mark.django_db(transaction=True)
def test_of_those_that_add_the_last_one_at_the_same_moment_one_is_refused(acme: Acme) -> None:
    entitlements.change(customer=acme.customer, server_quota=2)
    together, refused = Barrier(4), []

    def add(number: int) -> None:
        together.wait(10)
        try:
            services.server_add(customer=acme.customer, name=f"at once {number}")
        except ProblemError as problem:
            refused.append(problem)
        finally:
            connections.close_all()

    threads = [Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(refused) == 3
    assert Server.objects.filter(customer=acme.customer).count() == 2
