"""A web process that sends by itself: what Valkey loses or refuses, and faults of our own."""

from delivery.queue import batch
from hpns.celery import commands
from tests.delivery.links import disconnect, until
from tests.delivery.own_sender import NAME, TAKEN, Sender


async def test_a_batch_whose_settlement_valkey_has_lost_goes_to_the_workers(sender: Sender) -> None:
    sender.send("silence_1")
    await sender.begun("silence_1")
    (in_hands,) = sender.store.lrange(TAKEN, 0, -1)
    ended = in_hands.replace(sender.outbox.process.encode(), b"0123456789ab")
    sender.store.rpush(TAKEN, ended)
    disconnect(sender.store)
    await until(lambda: sender.store.llen(batch.QUEUE))
    assert sender.store.lrange(TAKEN, 0, -1) == [in_hands]
    assert sender.store.lindex(batch.QUEUE, 0) == ended.replace(b'"redelivered":false', b'"redelivered":1')


async def test_a_lease_that_valkey_has_lost_is_there_before_anything_is_written(sender: Sender) -> None:
    assert sender.own._keeping is not None
    sender.own._keeping.cancel()
    sender.store.delete(commands.WORKERS)
    disconnect(sender.store)
    await until(lambda: not sender.outbox.ready)
    await until(lambda: sender.outbox.ready)
    assert sender.store.zscore(commands.WORKERS, NAME)
