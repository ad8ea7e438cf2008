"""Before the queue: whose push it is, whether it may go on, and what of it; with the row of each that may not."""

import json

import msgspec
import pytest
import redis
from pytest_django import Settings

from delivery.ingest import intake
from delivery.ingest.outbox import Outbox
from delivery.log.rows import ROWS
from delivery.protocol import wire
from delivery.protocol.policy import NO_TEXT
from delivery.queue import key_usage
from tenants.directory.snapshot import Identity
from tenants.refusals import CallerRejected, NoKey, NotListed, PlainHttp, Suspended, WrongNetwork
from tests.delivery.web_process import ACME, LISTED, REGISTERED, body, error_of, keyless, queued, rows
from tests.tenants.push_request import Request

# --- Without a key


async def test_a_registered_server_id_speaks_for_its_server_and_has_no_key(outbox: Outbox, store: redis.Redis) -> None:
    intake.accept_keyless(outbox, keyless(), Request(), body())
    (item,) = await queued(outbox, store)
    assert (item.customer, item.server, item.key) == (1, 2, 0)


async def test_any_other_server_id_is_the_test_services(outbox: Outbox, store: redis.Redis) -> None:
    intake.accept_keyless(outbox, keyless(), Request(scheme="http"), body(server_id="another"))
    (item,) = await queued(outbox, store)
    assert (item.customer, item.server, item.key) == (8, 9, 0)


@pytest.mark.parametrize("server_id", ["another", "", REGISTERED.upper(), REGISTERED + " ", "\u0000", "x" * 100_000])
async def test_without_the_test_service_only_the_registered_server_id_counts(
    outbox: Outbox, settings: Settings, server_id: str
) -> None:
    settings.TEST_SERVICE = False
    with pytest.raises(NotListed):
        intake.accept_keyless(outbox, keyless(), Request(), body(server_id=server_id))


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b'"x"', b"[" * 100_000, b"\xff"])
async def test_what_is_no_push_has_no_key_and_leaves_no_row(outbox: Outbox, store: redis.Redis, junk: bytes) -> None:
    with pytest.raises(NoKey):
        intake.accept_keyless(outbox, keyless(), Request(), junk)
    await outbox.link.drain()
    assert not store.exists(ROWS)


@pytest.mark.parametrize(
    ("listed", "request_", "refused"),
    [
        (LISTED, Request(scheme="http"), PlainHttp),
        (msgspec.structs.replace(LISTED, networks=("198.51.100.0/24",)), Request(), WrongNetwork),
        (msgspec.structs.replace(LISTED, active=False, rejection_code="suspended"), Request(), Suspended),
    ],
)
async def test_a_server_id_opens_no_door_that_a_key_would_not(
    outbox: Outbox, listed: Identity, request_: Request, refused: type[CallerRejected]
) -> None:
    with pytest.raises(refused):
        intake.accept_keyless(outbox, keyless(listed), request_, body())


async def test_a_push_without_a_key_counts_in_no_sla_whoever_is_to_blame(outbox: Outbox, store: redis.Redis) -> None:
    outbox.waiting_limit = 0  # "overloaded" is our own fault, and counts for those with a key
    await intake.accept_keyless(outbox, keyless(), Request(), body())
    await intake.accept(outbox, ACME, body())
    keyed = {row["key_id"]: row["counts"] for row in await rows(store, 2)}
    assert keyed == {"3": "t", "\\N": "f"}


async def test_strangers_who_are_refused_share_a_row_whatever_the_reason(outbox: Outbox, store: redis.Redis) -> None:
    for number in range(50):
        answer = intake.accept_keyless(
            outbox, keyless(), Request(), body(server_id="x", device_id="", ack_id=str(number))
        )
        assert (await error_of(answer)).startswith(("missing_device_id", "over_limit"))
    assert len(await rows(store, 50)) <= 10


# --- What of a push goes on


@pytest.mark.parametrize("content", ["generic", "id_only"])
async def test_text_that_the_customer_wants_left_out_is_not_in_the_queue(
    outbox: Outbox, store: redis.Redis, content: str
) -> None:
    who = msgspec.structs.replace(ACME, content=content)
    for text in ("lunch?", "\\ud83d lunch?"):  # the second is none that the quick decoder takes
        intake.accept(
            outbox, who, body(channel_name="Town Square", sender_name="ada").replace(b"lunch?", text.encode())
        )
    for item in await queued(outbox, store):
        assert (item.push.message, item.push.channel_name, item.push.sender_name) == (NO_TEXT, "", "")


async def test_as_sent_is_as_sent(outbox: Outbox, store: redis.Redis) -> None:
    intake.accept(outbox, ACME, body())
    (item,) = await queued(outbox, store)
    assert item.push == wire.decode_push(body())[0]


@pytest.mark.parametrize(
    "padded",
    [
        body(message="x" * 240_000, channel_name="y" * 9_000),
        body(no_member_of_a_push="x" * 240_000),
        body() + b" " * 240_000,
        body().replace(b"{", b'{"message": "%b", ' % (b"x" * 240_000), 1),
    ],
    ids=["texts", "unknown member", "blanks", "a member twice"],
)
async def test_whatever_swells_a_body_no_more_is_queued_than_a_provider_can_take(
    outbox: Outbox, store: redis.Redis, padded: bytes
) -> None:
    answer = intake.accept(outbox, ACME, padded)
    outbox._flush()
    await outbox.link.drain()
    (message,) = store.lrange("push", 0, -1)
    assert sum(store.strlen(key) for key in store.scan_iter("batch:*")) + len(message) < 8_000
    (item,) = await queued(outbox, store)
    assert item.size == len(padded)
    assert item.push.message[:6] in ("xxxxxx", "lunch?")
    assert await error_of(answer) == ""


async def test_a_member_that_no_provider_takes_is_refused_at_once_and_named(outbox: Outbox, store: redis.Redis) -> None:
    answer = intake.accept(outbox, ACME, body(from_webhook="x" * 240_000))
    assert (await error_of(answer)).startswith("too_large the push's from_webhook has 240,000 bytes, and no ")
    assert [row["code"] for row in await rows(store, 1)] == ["too_large"]


# --- What is noticed


async def test_a_key_is_noticed_with_each_of_its_server_ids_and_a_push_without_one_is_not(
    outbox: Outbox, store: redis.Redis
) -> None:
    for server_id in ("first", "second", "first"):
        intake.accept(outbox, ACME, body(server_id=server_id))
    intake.accept_keyless(outbox, keyless(), Request(), body())
    outbox.key_usage.flush()
    await outbox.link.drain()
    assert [json.loads(each)[:2] for each in store.lrange("usage:seen", 0, -1)] == [[3, "first"], [3, "second"]]


async def test_a_push_of_our_own_is_no_use_of_the_key(outbox: Outbox, store: redis.Redis) -> None:
    for is_key_use in (False, True):
        intake.accept(outbox, ACME, body(), is_key_use=is_key_use)
        outbox.key_usage.flush()
        await outbox.link.drain()
        assert store.llen(key_usage.SEEN) == int(is_key_use)


# --- A subscription that is not in force

UNPAID = msgspec.structs.replace(ACME, refusal="subscription_unpaid")
EXPIRED = msgspec.structs.replace(ACME, refusal="licence_expired")


@pytest.mark.parametrize(("who", "code"), [(UNPAID, "subscription_unpaid"), (EXPIRED, "licence_expired")])
@pytest.mark.parametrize("members", [{}, {"type": "test"}, {"type": "clear"}, {"type": "session", "message": "over"}])
async def test_pushes_of_a_subscription_that_is_not_in_force_are_refused_with_what_to_do(
    outbox: Outbox, store: redis.Redis, who: Identity, code: str, members: dict[str, str]
) -> None:
    text = await error_of(intake.accept(outbox, who, body(**members)))
    assert text.startswith(f"{code} ")
    assert "subscription" in text
    assert "page" in text
    (row,) = await rows(store, 1)
    assert (row["code"], row["outcome"], row["attribution"], row["counts"]) == (code, "refused", "customer", "f")
    assert await queued(outbox, store) == []


async def test_wipes_pass_whatever_was_paid(outbox: Outbox, store: redis.Redis) -> None:
    for who in (UNPAID, EXPIRED):
        intake.accept(outbox, who, body(type="session", cont_ava=1, message=""))
    assert [item.push.type for item in await queued(outbox, store)] == ["session", "session"]


async def test_a_registered_server_id_is_refused_as_its_keys_are(outbox: Outbox) -> None:
    listed = msgspec.structs.replace(LISTED, refusal="licence_expired")
    answer = intake.accept_keyless(outbox, keyless(listed), Request(), body())
    assert (await error_of(answer)).startswith("licence_expired ")
