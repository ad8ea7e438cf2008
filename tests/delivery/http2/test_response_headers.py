"""Response headers are decoded right, from peers that keep no table and from those that keep one all the same."""

import pytest
from hpack import Encoder, HPACKError
from hypothesis import given
from hypothesis import strategies as st

from delivery.http2.frames import FrameError, StreamError
from delivery.http2.response_headers import ResponseHeaders

MAX_BYTES = 65_536
FIELDS = st.tuples(st.sampled_from(["apns-id", "date", "x"]), st.sampled_from(["", "a", "b" * 200]))
ANSWERS = st.lists(
    st.tuples(
        st.sampled_from(["200", "400", "410", "429", "103"]),
        st.lists(
            st.tuples(st.sampled_from(["apns-id", "date", "x"]), st.sampled_from(["", "a", "b" * 200])), max_size=3
        ),
    ),
    max_size=8,
)


@given(ANSWERS, st.sampled_from([None, 0, 100, 4096]), st.booleans())
def test_headers_are_read_in_order_whatever_table_a_peer_keeps(
    answers: list[tuple[str, list[tuple[str, str]]]], size: int | None, huffman: bool
) -> None:
    encoder, headers = Encoder(), ResponseHeaders(MAX_BYTES)
    if size is not None:
        encoder.header_table_size = size
    for status, others in answers:
        code, found = headers.decode(encoder.encode([(":status", status), *others], huffman=huffman))
        assert code == int(status)
        if status == "200":
            assert found == ()
        else:
            assert [(name.decode(), value.decode()) for name, value in found] == [(":status", status), *others]


def test_trailers_have_no_status() -> None:
    status, _ = ResponseHeaders(MAX_BYTES).decode(Encoder().encode([("grpc-status", "0")]))
    assert status == 0


@given(st.binary(max_size=30) | st.lists(st.sampled_from([0, 16, 32, 63, 64, 127, 128, 136, 255])).map(bytes))
def test_whatever_a_peer_writes_is_read_or_refused(block: bytes) -> None:
    headers = ResponseHeaders(MAX_BYTES)
    for _ in range(2):
        try:
            status, _ = headers.decode(block)
        except (FrameError, StreamError, HPACKError):
            return
        assert status == 0 or 100 <= status <= 999


def test_a_small_block_that_unfolds_into_too_much_is_refused() -> None:
    encoder = Encoder()
    encoder.encode([("x", "y" * 3000)])
    many = encoder.encode([(":status", "400"), *[("x", "y" * 3000)] * 30])
    assert len(many) < 200
    headers = ResponseHeaders(MAX_BYTES)
    headers.decode(Encoder().encode([(":status", "400"), ("x", "y" * 3000)]))
    with pytest.raises(FrameError, match="too long"):
        headers.decode(many)


def test_a_table_that_is_emptied_and_kept_on_is_one() -> None:
    encoder, headers = Encoder(), ResponseHeaders(MAX_BYTES)
    encoder.header_table_size = 0  # as nghttp2 and others empty a table: RFC 7541, 4.2 has both sizes code
    encoder.header_table_size = 4096
    headers.decode(encoder.encode([(":status", "400")]))
    headers.decode(encoder.encode([(":status", "200"), ("x", "first")]))
    status, found = headers.decode(encoder.encode([(":status", "400"), ("x", "first")]))
    assert (status, list(found)) == (400, [(b":status", b"400"), (b"x", b"first")])
