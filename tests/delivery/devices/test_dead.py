"""Dead devices that a process knows of: what is answered without asking the provider, and what never is."""

from collections.abc import AsyncIterator

import msgspec
import pytest
import redis

from delivery.devices import dead
from delivery.devices.dead import STREAM, DeadDevices
from delivery.outcomes import removal
from delivery.outcomes.removal import Decision
from delivery.protocol.wire import Push
from delivery.queue import valkey as queue
from tenants.directory.snapshot import AppRow, RemoveHoldRow
from tests.delivery.links import links

CUSTOMER, SERVER, APP, CREDENTIAL = 1, 2, 3, 4
PUSH = Push(device_id="0123456789abcdef", platform="apple_rn-v2", type="message", ack_id="a")


class Apps:
    """What the directory says."""

    def __init__(self) -> None:
        self.app: AppRow | None = AppRow(
            APP, CUSTOMER, "apple_rn", "apns", "com.example", "production", False, CREDENTIAL, signs_since=0.0
        )
        self.hold: RemoveHoldRow | None = None

    def route(self, customer_id: int, label: str, family: str) -> AppRow | None:
        assert (customer_id, label, family) == (CUSTOMER, "apple_rn", "apns")
        return self.app

    def remove_hold(self, customer_id: int, credential_id: int) -> RemoveHoldRow | None:
        assert (customer_id, credential_id) == (CUSTOMER, CREDENTIAL)
        return self.hold


class Processes:
    """Two processes that pushes come in at, in a time of the tests."""

    def __init__(self, made: tuple[queue.Link, ...]) -> None:
        self.links, self.now, self.apps = made, 1_000_000.0, Apps()
        self.each = [self._made(link) for link in made]

    def _made(self, link: queue.Link) -> DeadDevices:
        return DeadDevices(link, b"hash key", self.apps, lambda: self.now)

    def restart(self, index: int) -> None:
        self.each[index] = self._made(self.links[index])

    def find(self, process: int = 0, push: Push = PUSH, server: int = SERVER) -> Decision | None:
        found = self.each[process].find(CUSTOMER, server, push)
        return None if found is None else found.decision

    async def hear(self) -> None:
        for each in self.each:
            await each.read()


@pytest.fixture
async def processes(valkey_url: str, valkey: redis.Redis) -> AsyncIterator[Processes]:
    """Two."""
    async with links(valkey_url, 2) as made:
        yield Processes(tuple(made))


async def test_a_device_that_was_removed_is_known_everywhere_for_half_a_minute_and_then_asked_about(
    processes: Processes,
) -> None:
    assert processes.find() is None
    processes.each[0].add(SERVER, PUSH, owed=False)
    await processes.hear()
    assert [processes.find(process) for process in (0, 1)] == [Decision.KNOWN_DEAD] * 2
    processes.restart(1)
    await processes.hear()
    assert processes.find(1) is Decision.KNOWN_DEAD
    processes.now += dead.TOLD + 1
    assert [processes.find(process) for process in (0, 1)] == [None, None]


async def test_what_a_server_is_owed_is_told_it_with_the_next_push_once_by_whichever_process(
    processes: Processes,
) -> None:
    processes.each[0].add(SERVER, PUSH, owed=True)
    await processes.hear()
    processes.now += dead.OWED - 10
    assert processes.find(1) is Decision.DEFERRED
    await processes.hear()
    assert processes.find(0) is Decision.KNOWN_DEAD
    processes.now += dead.TOLD + 1
    assert [processes.find(process) for process in (0, 1)] == [None, None]


async def test_what_is_owed_lapses_and_then_the_provider_is_asked(processes: Processes) -> None:
    processes.each[0].add(SERVER, PUSH, owed=True)
    processes.now += dead.OWED + 1
    assert processes.find() is None


@pytest.mark.parametrize("owed", [False, True])
async def test_an_app_that_tests_its_pushes_is_there_again_for_all_processes(processes: Processes, owed: bool) -> None:
    processes.each[0].add(SERVER, PUSH, owed=owed)
    await processes.hear()
    assert processes.find(1, msgspec.structs.replace(PUSH, type="test", ack_id="")) is None
    assert processes.find(1) is None
    await processes.hear()
    assert processes.find(0) is None
    processes.restart(0)
    await processes.hear()
    assert processes.find(0) is None


async def test_another_server_and_another_app_ask_the_provider_themselves(processes: Processes) -> None:
    processes.each[0].add(SERVER, PUSH, owed=False)
    assert processes.find(server=SERVER + 1) is None
    assert processes.find(push=msgspec.structs.replace(PUSH, device_id="0123456789abcde0")) is None
    assert processes.find(push=msgspec.structs.replace(PUSH, device_id="x" + PUSH.device_id)) is None
    assert processes.find(push=msgspec.structs.replace(PUSH, platform="apple_rnbeta-v2")) is None


async def test_a_wipe_is_always_sent(processes: Processes) -> None:
    processes.each[0].add(SERVER, PUSH, owed=False)
    assert processes.find(push=msgspec.structs.replace(PUSH, type="session", cont_ava=1)) is None


async def test_a_test_push_that_was_answered_is_not_remembered(processes: Processes) -> None:
    processes.each[0].add(SERVER, msgspec.structs.replace(PUSH, type="test"), owed=True)
    assert processes.find() is None


async def test_while_the_fuse_holds_or_after_a_change_the_provider_is_asked(processes: Processes) -> None:
    apps = processes.apps
    processes.each[0].add(SERVER, PUSH, owed=False)
    apps.hold = RemoveHoldRow(CUSTOMER, CREDENTIAL, held=True)
    assert processes.find() is None
    apps.hold = None
    assert apps.app is not None
    apps.app = msgspec.structs.replace(apps.app, signs_since=processes.now - removal.AFTER_CHANGE + 1)
    assert processes.find() is None
    apps.app = None
    assert processes.find() is None


async def test_memory_is_bounded_and_no_token_is_in_valkey(
    processes: Processes, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead, "MOST", 10)
    for number in range(100):
        processes.each[0].add(SERVER, msgspec.structs.replace(PUSH, device_id=f"token-of-a-device-{number}"), owed=True)
    each = processes.each[0]
    assert (len(each._entries), sum(each._tails.values()), len(each._tails)) == (10, 10, 10)
    await processes.hear()
    assert b"token-of-a-device" not in repr(valkey.xrange(STREAM)).encode()
    processes.now += dead.OWED + 1
    await processes.hear()
    assert (len(each._entries), len(each._tails)) == (0, 0)


TEST = msgspec.structs.replace(PUSH, type="test")


async def test_a_word_about_a_moment_before_the_app_registered_again_makes_nobody_dead(processes: Processes) -> None:
    processes.each[0].registered(SERVER, TEST)
    await processes.hear()
    processes.now += 60.0
    for process in processes.each:
        assert process.is_back(SERVER, PUSH, processes.now - 70.0)
    processes.each[0].add(SERVER, PUSH, owed=True, gone_at=processes.now - 70.0)
    await processes.hear()
    processes.restart(1)
    await processes.hear()
    assert [processes.find(process) for process in (0, 1)] == [None, None]


async def test_a_word_about_a_moment_after_the_app_registered_is_believed_and_so_is_one_of_no_moment(
    processes: Processes,
) -> None:
    processes.each[0].registered(SERVER, TEST)
    processes.now += 60.0
    assert not processes.each[0].is_back(SERVER, PUSH, processes.now - 30.0)
    assert not processes.each[0].is_back(SERVER, PUSH, 0.0)
    processes.each[0].add(SERVER, PUSH, owed=False, gone_at=processes.now - 30.0)
    assert processes.find() is Decision.KNOWN_DEAD


async def test_what_is_known_of_registered_apps_is_bounded_and_forgotten(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead, "MOST", 10)
    one = processes.each[0]
    for number in range(30):
        one.registered(SERVER, msgspec.structs.replace(TEST, device_id=f"{number:016}"))
    assert len(one._registered) == 10
    processes.now += dead.REGISTERED + 1
    await one.read()
    assert one._registered == {}
