"""The REMOVE fuse: what one process decides, what several decide together, and that nothing wrong is ever removed."""

import json
import random
from collections.abc import AsyncIterator

import pytest
import redis

from delivery.devices import remove_fuse
from delivery.devices.remove_fuse import TRIPPED, Tripped
from delivery.metrics import removal_counts
from delivery.outcomes import removal
from delivery.outcomes.verdict import Answer
from tenants.directory.snapshot import RemoveHoldRow
from tests.delivery.devices.fuses import BAD, CUSTOMER, GONE, Fuses, Signed
from tests.delivery.links import links

OK_TOKENS = tuple(f"good-{number}" for number in range(40))
REMOVE, FAIL = Answer.REMOVE, Answer.FAIL


@pytest.fixture
async def fuses(valkey_url: str, valkey: redis.Redis) -> AsyncIterator[Fuses]:
    """Two processes'."""
    async with links(valkey_url, 2) as made:
        yield Fuses(made)


async def test_a_dead_device_is_removed_with_its_first_push_and_by_whichever_process(fuses: Fuses) -> None:
    assert [fuses.judge(f"dead-{process}", GONE, process) for process in (0, 1)] == [REMOVE, REMOVE]


async def test_a_doubtful_answer_is_believed_when_it_comes_again_and_others_were_accepted(fuses: Fuses) -> None:
    fuses.accept(*OK_TOKENS, process=1)
    assert fuses.judge("bad") is FAIL
    await fuses.wait()
    assert fuses.judge("bad") is FAIL, "it is too soon"
    await fuses.wait(removal.REPEATED)
    assert fuses.judge("bad") is REMOVE, "the other process has counted the accepted ones"
    assert fuses.judge("bad", process=1) is FAIL, "it has not looked yet"
    await fuses.wait()
    assert fuses.judge("bad", process=1) is REMOVE, "and knows since when it is doubted"
    assert fuses.judge("another") is FAIL


async def test_a_wrong_key_removes_nothing_of_a_thousand_devices_however_often_they_are_pushed_to(
    fuses: Fuses,
) -> None:
    told = set()
    for _ in range(5):
        told |= {fuses.judge(f"device-{number}", process=number % 2) for number in range(1_000)}
        await fuses.wait(7)
    assert told == {FAIL}


async def test_a_key_that_goes_wrong_after_a_good_hour_removes_nothing_though_others_were_accepted(
    fuses: Fuses,
) -> None:
    tokens = [f"device-{number}" for number in range(1_000)]
    fuses.accept(*tokens)
    await fuses.wait()
    told = set()
    for _ in range(3):
        told |= {fuses.judge(token, process=number % 2) for number, token in enumerate(tokens)}
        await fuses.wait(7)
    assert told == {FAIL}
    assert fuses.judge("dead", GONE) is FAIL, "nothing of the credential is believed"


async def test_one_customers_wrong_devices_trip_no_other_customers_fuse_of_a_shared_credential(fuses: Fuses) -> None:
    fuses.accept(*OK_TOKENS, customer=CUSTOMER + 1)
    for number in range(10):
        fuses.judge(f"mine-{number}")
    fuses.judge("theirs", customer=CUSTOMER + 1)
    await fuses.wait()
    await fuses.wait(removal.REPEATED)
    assert fuses.judge("mine-1") is FAIL
    assert fuses.judge("theirs", customer=CUSTOMER + 1) is REMOVE
    assert fuses.judge("dead", GONE, customer=CUSTOMER + 1) is REMOVE


async def test_right_after_a_change_not_even_the_providers_own_word_is_believed(fuses: Fuses) -> None:
    fresh = Signed(signs_since=fuses.now - 5)
    assert fuses.judge("dead", GONE, signed=fresh) is FAIL
    fuses.now += removal.AFTER_CHANGE
    assert fuses.judge("dead", GONE, signed=fresh) is REMOVE
    assert fuses.judge("dead", GONE, signed=Signed(signs_since=float("inf"))) is FAIL, "a spare that was only tried"


async def test_the_fuse_trips_in_all_processes_survives_their_restart_and_ends_ten_minutes_after_the_last(
    fuses: Fuses,
) -> None:
    fuses.accept(*OK_TOKENS)
    for number in range(5):
        fuses.judge(f"bad-{number}", process=number % 2)
    await fuses.wait()
    fuses.judge("watch", process=1)
    await fuses.wait()
    assert [fuses.judge("dead", GONE, process) for process in (0, 1)] == [FAIL, FAIL]
    fuses.restart(0)
    fuses.judge("dead", GONE)  # nothing is known of the credential yet
    await fuses.wait()
    assert fuses.judge("dead", GONE) is FAIL
    await fuses.wait(removal.WINDOW + 1)
    assert [fuses.judge("dead", GONE, process) for process in (0, 1)] == [REMOVE, REMOVE]


async def test_what_the_directory_holds_is_held_from_the_first_push_on_and_what_it_releases_is_believed(
    fuses: Fuses,
) -> None:
    fuses.holds.rows[CUSTOMER, 1] = RemoveHoldRow(CUSTOMER, 1, held=True)
    assert fuses.judge("dead", GONE) is FAIL
    fuses.holds.rows[CUSTOMER, 1] = RemoveHoldRow(CUSTOMER, 1, held=False, released_at=fuses.now)
    for number in range(10):
        fuses.judge(f"bad-{number}")
    fuses.accept(*OK_TOKENS)
    await fuses.wait(removal.REPEATED)
    assert (fuses.judge("dead", GONE), fuses.judge("bad-1")) == (REMOVE, REMOVE)
    await fuses.wait(removal.RELEASED)
    for number in range(10):
        fuses.judge(f"bad-{number}")
    await fuses.wait()
    assert fuses.judge("dead", GONE) is FAIL, "it is a fuse again"


async def test_half_of_all_devices_do_not_die_at_once(fuses: Fuses) -> None:
    fuses.accept(*OK_TOKENS[:10])
    for number in range(20):
        fuses.judge(f"dead-{number}", GONE)
    await fuses.wait()
    assert fuses.judge("dead-again", GONE) is FAIL


async def test_tests_that_strangers_send_to_any_token_trip_nothing(fuses: Fuses) -> None:
    for number in range(100):
        fuses.judge(f"invented-{number}", counts=False)
    await fuses.wait()
    assert fuses.judge("dead", GONE) is REMOVE


async def test_a_fuse_that_has_tripped_is_reported_once_when_it_is_sure(fuses: Fuses, store: redis.Redis) -> None:
    fuses.accept(*OK_TOKENS)
    for number in range(6):
        fuses.judge(f"bad-{number}")
    await fuses.wait()
    assert store.lrange(TRIPPED, 0, -1) == [], "a burst is counted unevenly at first"
    await fuses.wait(remove_fuse.SURE)
    await fuses.wait()
    rows = [Tripped(*json.loads(each)) for each in store.lrange(TRIPPED, 0, -1)]
    assert rows == [Tripped(CUSTOMER, 1, 6, 46, BAD.code)]


async def test_without_valkey_nothing_doubtful_is_believed_and_nothing_is_forgotten(fuses: Fuses) -> None:
    fuses.accept(*OK_TOKENS)
    fuses.judge("bad")
    await fuses.wait(removal.REPEATED)
    assert fuses.judge("bad") is REMOVE
    fuses.links[0].up = False
    fuses.judge("new")
    await fuses.wait(remove_fuse.STALE)
    assert fuses.judge("bad") is FAIL
    fuses.links[0].up = True
    fuses.accept(*OK_TOKENS)
    await fuses.wait()
    assert (fuses.judge("bad"), fuses.judge("new")) == (REMOVE, REMOVE)


async def test_memory_is_bounded(fuses: Fuses, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("ACCEPTED_MOST", 100), ("WATCHED_MOST", 5), ("TOKENS_MOST", 50)):
        monkeypatch.setattr(remove_fuse, name, most)
    fuse = fuses.each[0]
    fuses.accept(*(f"token-{number}" for number in range(1_000)))
    assert len(fuse._accepted) == 100
    fuses.links[0].up = False
    for number in range(1_000):
        fuses.judge(f"bad-{number}", signed=Signed(credential_id=number % 20))
    assert len(fuse._watched) <= 5
    assert fuse._count() <= 50 + 20
    assert fuse._tokens == fuse._count()


async def test_each_decision_is_counted(fuses: Fuses) -> None:
    removal_counts.take()
    fuses.judge("dead", GONE)
    fuses.judge("bad")
    counted = {labels[0]: count for (_, labels), count in removal_counts.take().counters.items() if count}
    assert counted == {"believed": 1, "unproven": 1}


@pytest.mark.parametrize("seed", range(6))
async def test_of_random_streams_only_what_is_dead_is_removed(valkey_url: str, valkey: redis.Redis, seed: int) -> None:
    """Three processes, restarted at random; credentials that are right, wrong from the start, or go wrong; each push is
    answered by what is true of its credential and its token."""
    chance = random.Random(seed)  # noqa: S311
    async with links(valkey_url, 3) as made:
        fuses = Fuses(made)
        kinds = {number: chance.choice(("right", "wrong", "goes wrong")) for number in range(1, 7)}
        wrong_from, removed, pushed = fuses.now + 60, set(), set()
        for _ in range(150):
            for _ in range(chance.randrange(30)):
                credential, process = chance.randrange(1, 7), chance.randrange(3)
                token = chance.randrange(200)
                kind, name = kinds[credential], f"token-{token}"
                is_wrong = kind == "wrong" or (kind == "goes wrong" and fuses.now > wrong_from)
                if is_wrong:
                    verdict = BAD
                elif token < 4:  # two in a hundred are dead
                    verdict = GONE
                    pushed.add((credential, token))
                elif token == 4:
                    verdict = BAD
                else:
                    fuses.accept(name, process=process, credential=credential)
                    continue
                told = fuses.judge(name, verdict, process, Signed(credential))
                assert not (is_wrong and told is REMOVE), (credential, token)
                if told is REMOVE:
                    removed.add((credential, token))
            if chance.random() < 0.05:
                fuses.restart(chance.randrange(3))
            await fuses.wait(chance.uniform(0.5, 2))
    assert all(token <= 4 for _, token in removed)
    missing = {pair for pair in pushed - removed if kinds[pair[0]] == "right"}
    assert not missing, "a dead device is removed with its first push"
