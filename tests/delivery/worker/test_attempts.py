"""The attempts of a push at a provider that disowns, refuses or is away: what is sent again, and what is told."""

import asyncio
from collections import Counter

import pytest
import redis
from django.conf import settings

from delivery.http2.engine import Engine
from delivery.outcomes.verdict import ANSWERED, NOT_SENT
from delivery.providers import table
from delivery.queue import valkey
from delivery.worker import attempts, retries
from hpns.celery import pool
from tests.delivery.http2.rough_server import RoughServer
from tests.delivery.worker.delivering import Pushes


@pytest.fixture
def server(rough: RoughServer) -> RoughServer:
    """The server in Apple's place, as new."""
    rough.disown_every, rough.goaway = 0, (0, b"")
    return rough


@pytest.fixture
async def pushes(server: RoughServer, plain: Engine, link: valkey.Link, store: redis.Redis) -> Pushes:
    """Pushes to it."""
    return Pushes(plain, server.origin, link, store)


async def test_no_push_fails_though_every_tenth_request_is_disowned_with_all_behind_it(
    server: RoughServer, pushes: Pushes
) -> None:
    server.disown_every = 10
    before, complete = server.connections, server.complete.total()
    made = []
    for wave in range(6):
        made += await asyncio.gather(*(pushes.push(f"ok_{wave}_{number}") for number in range(64)))
    assert Counter(pushes.told()) == {"OK": 384}
    assert [one[-1].wire for one in made] == [ANSWERED] * 384
    disowned = [attempt for one in made for attempt in one[:-1]]
    assert {(attempt.reason, attempt.wire, attempt.detail) for attempt in disowned} == {
        ("goaway", NOT_SENT, "GOAWAY NO_ERROR")
    }
    assert server.complete.total() - complete == len(disowned) + 384, "each request on the wire is one attempt"
    assert max(map(len, made)) < retries.AT_ONCE
    # The first of all that wait are the first on the next connection, and those get no more than the one before took.
    assert len(disowned) < 2 * 384
    assert server.connections - before < 60


@pytest.mark.parametrize(("age", "seconds"), [(0.0, 4.0), (0.9, 3.1), (1.1, 6.0), (3.2, 6.0), (20.0, 6.0)])
async def test_a_push_that_waited_so_long_that_a_slow_provider_would_be_late_gets_a_fresh_window(
    pushes: Pushes, age: float, seconds: float
) -> None:
    assert pushes.window(age) == pytest.approx(seconds, abs=0.001)


def test_a_worker_that_stops_waits_for_whatever_is_on_the_wire() -> None:
    assert max(attempts.LATE_WINDOW, settings.ATTEMPT_DEADLINE) + attempts.GATHER_MOST < pool.DRAIN_SECONDS


async def test_a_push_that_is_disowned_for_ever_is_sent_so_many_times_and_told_why(
    server: RoughServer, pushes: Pushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.http2.backoff.LONGEST_PAUSE", 0.001)
    monkeypatch.setattr(pushes._deliverer, "_attempt_deadline", 3.0)
    monkeypatch.setattr(retries, "WORTH", 1.0)  # time enough for the last try, too
    server.disown_every, server.goaway = 1, (2, b"restarting")
    made = await pushes.push("ok_never", type="test")
    assert {one.reason for one in made} == {"goaway"}
    assert 6 < len(made) <= retries.AT_ONCE + 6, "with a pause before each it would be six at most"
    [told] = pushes.told()
    assert told.startswith(
        "transport_goaway localhost ended the connection and did not take the push"
        " (GOAWAY INTERNAL_ERROR: restarting): "
    )


@pytest.mark.parametrize("code", [0, 11])
async def test_a_push_that_a_goaway_disowns_only_after_a_second_is_sent_again(
    server: RoughServer, pushes: Pushes, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr("delivery.http2.backoff.CALM_PAUSE", 0.1)
    server.goaway = (code, b"")
    server.complete["hesitate_once"] = 0
    disowned, sent = await pushes.push("hesitate_once")
    assert (disowned.reason, disowned.wire, sent.status) == ("goaway", NOT_SENT, 200)
    assert (sent.at - disowned.at > 0.9, pushes.told()) == (True, ["OK"])


async def test_a_push_that_is_refused_is_sent_again_on_the_same_connection_after_a_pause(
    server: RoughServer, pushes: Pushes
) -> None:
    await pushes.push("ok_first")
    before = server.connections
    made = await pushes.push("refuse_once")
    assert (len(made), made[0].reason, made[-1].status) == (2, "refused_stream", 200)
    assert made[1].at - made[0].at >= retries.PAUSE
    assert (server.connections, pushes.told()) == (before, ["OK", "OK"])


async def test_a_push_that_is_refused_for_ever_is_told_so(
    server: RoughServer, pushes: Pushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushes._deliverer, "_attempt_deadline", 1.0)
    made = await pushes.push("refuse_always", type="test")
    assert {one.reason for one in made} == {"refused_stream"}
    [told] = pushes.told()
    assert told.startswith("transport_refused_stream localhost refused to take the push (RST_STREAM REFUSED_STREAM): ")


async def test_a_push_to_a_provider_that_is_away_is_one_attempt_that_says_so(
    plain: Engine, link: valkey.Link, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushes = Pushes(plain, "https://localhost:9", link, store)
    monkeypatch.setattr(pushes._deliverer, "_attempt_deadline", 0.5)
    [made] = await pushes.push("ok", type="test")
    assert (made.reason, made.wire, made.status) == ("connect", NOT_SENT, 0)
    [told] = pushes.told()
    assert told.startswith("transport_connect no connection to localhost could be opened: ")


async def test_what_the_provider_said_as_it_ended_the_connection_is_told_of_a_push_that_it_took(
    server: RoughServer, pushes: Pushes
) -> None:
    await pushes.push("ok_first")
    [made] = await pushes.push("own", ack_id="", type="test")
    assert (made.reason, made.detail) == ("closed", "GOAWAY NO_ERROR")
    assert pushes.told()[1].startswith(
        "transport_closed_unanswered localhost closed the connection without an answer (GOAWAY NO_ERROR), and the push"
    )


TURNED_DOWN = b'{"reason":"BadCertificateEnvironment"}'


async def test_a_push_whose_credential_a_goaway_turns_down_is_sent_with_the_other_one(
    server: RoughServer, pushes: Pushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.goaway = (0, TURNED_DOWN)
    pushes.add_spare(monkeypatch)
    before = server.connections
    turned_down, sent = await pushes.push("retire_once")
    assert (turned_down.reason, turned_down.status, turned_down.wire) == ("BadCertificateEnvironment", 0, NOT_SENT)
    assert (sent.status, pushes.told()) == (200, ["OK"])
    assert server.connections == before + 2, "one for each credential"


async def test_a_push_whose_only_credential_a_goaway_turns_down_is_the_customers_to_mend_and_counted_as_such(
    server: RoughServer, pushes: Pushes
) -> None:
    server.goaway = (0, TURNED_DOWN)
    [made] = await pushes.push("retire_always")
    verdict = table.judge(made)
    assert (verdict.attribution, verdict.counts_in_sla, verdict.is_key_fault) == ("customer", False, True)
    [told] = pushes.told()
    assert told.startswith("apns_bad_certificate_environment the certificate is for Apple's other host ")


async def test_a_push_that_was_refused_unread_is_sent_again_with_a_new_token_all_the_same(
    server: RoughServer, pushes: Pushes
) -> None:
    made = await pushes.push("renew")
    assert [one.reason for one in made[:2]] == ["refused_stream", "ExpiredProviderToken"]
    assert (made[-1].status, pushes.told()) == (200, ["OK"])


async def test_a_push_that_its_provider_cannot_take_now_is_sent_again_while_there_is_time(
    server: RoughServer, pushes: Pushes
) -> None:
    made = await pushes.push("busy_2_0")
    assert [one.status for one in made] == [503, 503, 200]
    assert pushes.told() == ["OK"]


async def test_a_push_is_sent_again_no_sooner_than_its_provider_asked_for(server: RoughServer, pushes: Pushes) -> None:
    made = await pushes.push("busy_1_1")
    assert [one.status for one in made] == [503, 200]
    assert made[1].at - made[0].at >= 1.0


async def test_a_push_is_not_kept_waiting_for_what_comes_after_its_deadline(
    server: RoughServer, pushes: Pushes
) -> None:
    [made] = await pushes.push("busy_1_60", type="test")
    assert made.retry_after == 60.0
    assert pushes.told()[0].startswith("apns_service_unavailable ")


async def test_trouble_that_says_nothing_is_tried_again_where_a_repeat_replaces_the_push(
    server: RoughServer, pushes: Pushes
) -> None:
    made = await pushes.push("trouble_1")
    assert [one.status for one in made] == [502, 200]
    [alone] = await pushes.push("trouble_2", ack_id="", type="test")
    assert alone.status == 502


async def test_a_push_that_was_sent_and_never_answered_is_sent_again_once(server: RoughServer, pushes: Pushes) -> None:
    made = await pushes.push("breakonce_1")
    assert ([one.status for one in made], pushes.told()) == ([0, 200], ["OK"])
    assert server.complete["breakonce_1"] == 2
    await pushes.push("break_1")
    assert server.complete["break_1"] == 2, "once"


async def test_a_call_that_may_have_rung_is_not_sent_again(server: RoughServer, pushes: Pushes) -> None:
    await pushes.push("breakonce_2", transport="voip", sub_type="calls")
    assert server.complete["breakonce_2"] == 1


async def test_without_a_budget_nothing_that_the_provider_had_is_sent_again(
    server: RoughServer, pushes: Pushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushes._deliverer.retries.budget, "take", lambda target: False)
    [made] = await pushes.push("busy_1_0", type="test")
    assert made.status == 503


async def test_a_device_whose_app_has_registered_since_apples_moment_is_not_removed(pushes: Pushes) -> None:
    await pushes.push("ago_other")
    pushes.dead.registered(1, pushes._work("ago_back", type="test").items[0].push)  # Apple's moment is a minute ago
    await pushes.push("ago_back")
    removed, kept = pushes.told()
    assert "no longer on this device" not in removed
    assert kept.startswith("remove_registered_since ")
