"""Whose fault a refused credential is: its owner's, or its provider's while that refuses everybody's."""

import asyncio

import pytest
import redis

from delivery.outcomes import judge
from delivery.outcomes.verdict import ANSWERED, Attempt, Verdict
from delivery.providers import table
from delivery.queue import valkey
from delivery.worker import incident_watch, refusal_incidents
from delivery.worker.incident_watch import IncidentWatch
from tests.delivery.links import until

SINCE = refusal_incidents.since_key("apns")


def refused(reason: str = "InvalidProviderToken") -> Verdict:
    return table.judge(Attempt("apns", "api.example", 403, reason, ANSWERED, 1.0, 5))


def watch(link: valkey.Link) -> IncidentWatch:
    return IncidentWatch(link, asyncio.get_running_loop())


async def test_it_is_the_owners_of_the_credential_where_there_is_no_incident(link: valkey.Link) -> None:
    watching = watch(link)
    for shared, whose in ((False, "customer"), (True, "ours")):
        assert watching.attributed(refused(), "apns", shared=shared).attribution == whose


async def test_it_is_the_providers_while_that_refuses_everybodys_and_the_owners_again_after_it(
    link: valkey.Link, store: redis.Redis
) -> None:
    watching = watch(link)
    store.set(SINCE, 1)

    def whose(family: str = "apns", *, shared: bool = False) -> str:
        watching._looked_at.clear()
        return watching.attributed(refused(), family, shared=shared).attribution

    await until(lambda: whose() == "provider")
    assert whose(shared=True) == "provider"
    assert not watching.attributed(refused(), "apns", shared=True).counts_in_sla, "an event of nobody's"
    assert whose("fcm") == "customer"
    store.delete(SINCE)
    await until(lambda: whose() == "customer")


async def test_what_says_nothing_of_the_key_is_judged_as_ever_and_asks_nobody(
    link: valkey.Link, store: redis.Redis
) -> None:
    watching = watch(link)
    store.set(SINCE, 1)
    topic = refused("TopicDisallowed")
    assert watching.attributed(topic, "apns", shared=False) is judge.attributed(topic, False)
    assert watching._looked_at == {}


async def test_a_flood_of_refused_pushes_looks_once_in_an_interval(
    link: valkey.Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_watch, "LOOK_INTERVAL", 600.0)
    watching = watch(link)
    watching.attributed(refused(), "apns", shared=False)
    [first] = watching._looked_at.values()
    for _ in range(100):
        watching.attributed(refused(), "apns", shared=False)
    assert list(watching._looked_at.values()) == [first]


async def test_while_valkey_is_away_it_is_the_owners(link: valkey.Link, store: redis.Redis) -> None:
    watching = watch(link)
    watching._refusing.add("apns")
    link.close()
    watching.attributed(refused(), "apns", shared=False)
    await until(lambda: not watching._refusing)
