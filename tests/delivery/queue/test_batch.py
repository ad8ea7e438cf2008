"""Batches and results, packed and unpacked."""

import struct

import msgspec
import pytest

from delivery.ingest import envelope
from delivery.queue import batch
from hpns.celery import DELIVER


def test_an_item_comes_out_as_it_went_in() -> None:
    item = batch.encode_item("abc-1", 1_700_000_000.25, 3, 4, 5, 17, b'{"ack_id":"a","message":"h\\u00e9"}')
    (decoded,) = batch.decode_items(batch.join([item]))
    assert (decoded.trace, decoded.at, decoded.customer, decoded.server, decoded.key, decoded.size) == (
        "abc-1",
        1_700_000_000.25,
        3,
        4,
        5,
        17,
    )
    assert (decoded.push.ack_id, decoded.push.message) == ("a", "hé")


def test_results_come_out_as_they_went_in() -> None:
    short = [(4_000_000_000, 199, 1), (1, 0, 0)]
    texts = [(1, 2, "no_app: add one (trace x)")]
    assert batch.unpack_results(batch.pack_results(short, texts)) == (short, texts)
    assert batch.unpack_results(batch.pack_results([], texts)) == ([], texts)
    assert batch.unpack_results(batch.pack_results(short, [])) == (short, [])


@pytest.mark.parametrize("blob", [b"", b"\x01\x00abc", b"\x00\x00\xff\xff"])
def test_a_blob_that_is_no_result_is_noticed(blob: bytes) -> None:
    with pytest.raises((struct.error, msgspec.DecodeError)):
        batch.unpack_results(blob)


def test_the_queue_has_one_name() -> None:
    assert envelope.serialised(with_payload=True)[0] == batch.QUEUE == DELIVER
