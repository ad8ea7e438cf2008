"""What proving servers by their pushes costs the path: `python -m tests.bench.signatures`, about ten seconds.

Decoding, limits and admission of a signed push with its place in the outbox left out, alternating with and without the
look at its key and server_id (delivery/queue/key_usage.py), which makes one push a minute of each a sample. Then what a
sample costs: comparing and copying it in the web process, verifying it in the worker. CPU time, medians.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Callable
from unittest.mock import patch

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hpns.settings_test")

import django

django.setup()

from delivery.ingest import intake
from delivery.ingest.outbox import Outbox
from delivery.protocol.wire import Push, encode_push
from delivery.queue.key_usage import KeyUsage
from hpns.local.mattermost_site import Installation
from tenants.proofs import signatures
from tests.delivery.ingest.limiting import identity

PUSHES, ROUNDS, SAMPLES = 2_000, 40, 300


def microseconds(each: Callable[[], object], times: int) -> float:
    """CPU time of one call."""
    began = time.process_time_ns()
    for _ in range(times):
        each()
    return (time.process_time_ns() - began) / times / 1_000


async def measure() -> str:
    """The figures, in a line each."""
    outbox, who, home = Outbox(), identity(), Installation()
    done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    push = Push(
        ack_id="a" * 26,
        device_id="5a" * 32,
        platform="apple_rn-v2",
        server_id=home.diagnostic_id,
        type="message",
        message="see you at the harbour",
        channel_name="Town Square",
        sender_name="ada",
        signature=home.signature("a" * 26, "5a" * 32),
    )
    body = encode_push(push)
    taken: dict[bool, list[float]] = {True: [], False: []}
    with patch.object(Outbox, "submit", lambda *_: done):
        for number in range(2 * ROUNDS):
            observes = number % 2 == 0
            kept = KeyUsage.observe if observes else lambda *_: None
            with patch.object(KeyUsage, "observe", kept):
                taken[observes].append(microseconds(lambda: intake.accept(outbox, who, body), PUSHES))
    samples = outbox.key_usage.samples
    sampling = microseconds(lambda: samples.take(3, push.server_id, push), SAMPLES)
    signed = signatures.read(push.signature, push.ack_id, push.device_id)
    verifying = microseconds(lambda: signatures.verify(home.public_key, signed), SAMPLES)
    with_it, without = statistics.median(taken[True]), statistics.median(taken[False])
    return (
        f"admission of a push: {with_it:.2f} us with the look, {without:.2f} without (ratio {with_it / without:.3f})\n"
        f"a sample: {sampling:.0f} us in the web process, {verifying:.0f} us in the worker\n"
    )


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(measure()))
