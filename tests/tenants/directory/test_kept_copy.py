"""Valkey's copy of the directory is kept by parts: what has changed, and now and then the whole."""

import pytest
import redis

from billing import customers
from tenants import services
from tenants.directory import kept_copy
from tenants.directory.live import Directory
from tenants.models import Customer
from tests.tenants.conftest import Acme
from tests.tenants.directory.test_changes import contents

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_revoked_key_is_known_to_a_process_that_starts_from_the_copy_though_only_a_part_was_stored(
    acme: Acme, valkey: redis.Redis
) -> None:
    directory = Directory()
    directory.load()
    whole = valkey.hget(kept_copy.COPY_KEY, "sealed")
    services.key_revoke(key=acme.key)
    directory.update()
    assert valkey.hget(kept_copy.COPY_KEY, "sealed") == whole
    started = Directory()
    assert started.load_copy("PostgreSQL does not answer") == "copy"
    assert started.version == directory.version
    assert contents(started) == contents(directory)


def test_a_part_that_is_missing_makes_the_copy_older_and_nothing_after_it_is_taken(
    acme: Acme, valkey: redis.Redis
) -> None:
    directory = Directory()
    directory.load()
    before = directory.version
    services.key_revoke(key=acme.key)
    directory.update()
    valkey.delete(kept_copy.PARTS_KEY)
    services.server_networks(server=acme.server, networks=["192.0.2.0/24"])
    directory.update()
    started = Directory()
    started.load_copy("PostgreSQL does not answer")
    assert started.version == before


@pytest.mark.parametrize("bound", ["PARTS_MAX", "PART_MAX", "SNAPSHOT_AGE_MAX"])
def test_parts_are_few_and_small_and_a_whole_copy_takes_their_place(
    acme: Acme, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    directory = Directory()
    directory.load()
    services.server_networks(server=acme.server, networks=["192.0.2.0/24"])
    directory.update()
    assert valkey.hlen(kept_copy.PARTS_KEY) == 1
    monkeypatch.setattr(kept_copy, bound, -1 if bound == "SNAPSHOT_AGE_MAX" else 1)
    services.key_revoke(key=acme.key)
    directory.update()
    assert valkey.hlen(kept_copy.PARTS_KEY) == 0
    assert kept_copy.load_copy(valkey).version == directory.version


def test_nothing_of_an_erased_customer_stays_in_the_copy(acme: Acme, valkey: redis.Redis) -> None:
    directory = Directory()
    directory.load()
    customers.suspend(customer=acme.customer, reason="unpaid")
    directory.update()
    customers.erase(customer=Customer.objects.get(pk=acme.customer.pk))
    directory.update()
    assert acme.key.prefix not in kept_copy.load_copy(valkey).keys
    assert not valkey.exists(kept_copy.PARTS_KEY)
