"""HPACK encoding: another implementation decodes the header fields as they were meant, and keeps no table."""

import pytest
from hpack import Decoder, NeverIndexedHeaderTuple
from hypothesis import example, given
from hypothesis import strategies as st

from delivery.http2 import hpack_encoding

PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126))
NAMES = st.sampled_from([b"apns-topic", b"authorization", b"content-type", b"x"])
EDGES = [0, 1, 126, 127, 128, 254, 255, 256, 16_382, 16_383, 16_384, 16_511]
"""Lengths around which a length takes one byte more (RFC 7541, 5.1)."""


def read(block: bytes) -> list[tuple[bytes, bytes]]:
    """What a peer makes of a block."""
    decoder = Decoder(max_header_list_size=1_000_000)
    decoder.max_allowed_table_size = decoder.header_table_size = 0
    return [tuple(found) for found in decoder.decode(block, raw=True)]


@given(st.lists(st.tuples(NAMES, PRINTABLE)))
def test_fields_are_read_back_in_their_order(sent: list[tuple[bytes, str]]) -> None:
    assert read(hpack_encoding.field_block(sent)) == [(name, value.encode()) for name, value in sent]


@pytest.mark.parametrize("length", EDGES)
def test_a_value_of_any_length_is_read_back_and_so_is_what_follows_it(length: int) -> None:
    value = "v" * length
    block = hpack_encoding.literal_field(b"apns-topic", value) + hpack_encoding.literal_field(b"after", "it")
    assert read(block) == [(b"apns-topic", value.encode()), (b"after", b"it")]


@given(st.integers(0, 70_000))
@example(127 + 128 * 128 - 1)
@example(127 + 128 * 128)
def test_a_path_of_any_length_is_read_back(length: int) -> None:
    path = b"/" * length
    block = (
        hpack_encoding.request_start("host")
        + hpack_encoding.string_literal(path)
        + hpack_encoding.content_length_field(7)
    )
    assert read(block)[-2:] == [(b":path", path), (b"content-length", b"7")]


def test_nothing_is_kept_in_a_table() -> None:
    decoder = Decoder()
    block = hpack_encoding.request_start("api.push.apple.com") + hpack_encoding.string_literal(b"/3/device/ab")
    block += hpack_encoding.field_block(
        [(b"authorization", "bearer x"), (b"apns-topic", "t")]
    ) + hpack_encoding.content_length_field(12)
    decoder.decode(block, raw=True)
    assert list(decoder.header_table.dynamic_entries) == []


@pytest.mark.parametrize(("name", "secret"), [(b"authorization", True), (b"apns-topic", False)])
def test_only_a_token_is_kept_out_of_every_table_on_its_way(name: bytes, secret: bool) -> None:
    [found] = Decoder().decode(hpack_encoding.field_block([(name, "bearer abc")]), raw=True)
    assert isinstance(found, NeverIndexedHeaderTuple) is secret
    assert tuple(found) == (name, b"bearer abc")


@given(PRINTABLE, st.sampled_from([*map(chr, range(32)), "\x7f"]), PRINTABLE)
@example("1", "\r\nx-evil: 1", "")
def test_a_control_character_is_refused_wherever_it_stands(before: str, control: str, after: str) -> None:
    with pytest.raises(ValueError, match="apns-topic holds a control character"):
        hpack_encoding.literal_field(b"apns-topic", before + control + after)


@given(PRINTABLE, st.characters(min_codepoint=128), PRINTABLE)
def test_what_is_not_ascii_is_refused(before: str, other: str, after: str) -> None:
    with pytest.raises(UnicodeError):
        hpack_encoding.literal_field(b"apns-topic", before + other + after)


def test_a_refusal_does_not_tell_the_value() -> None:
    with pytest.raises(ValueError, match="authorization") as refused:
        hpack_encoding.literal_field(b"authorization", "bearer secret\n")
    assert "secret" not in str(refused.value)


@given(PRINTABLE.filter(lambda value: len(value) < 127), NAMES)
def test_the_encoder_for_short_values_is_the_same(value: str, name: bytes) -> None:
    assert read(hpack_encoding.short_field_encoder(name)(value)) == [(name, value.encode())]


def test_an_authority_that_is_not_ascii_is_refused() -> None:
    with pytest.raises(UnicodeError):
        hpack_encoding.request_start("bücher.example")


@given(
    st.sampled_from(["localhost", "127.0.0.1:8443", "[::1]:8443", "a" * 200 + ".example"]),
    PRINTABLE,
    st.lists(st.tuples(NAMES, PRINTABLE), max_size=3),
    st.integers(0, 10**18),
)
def test_a_request_is_a_post_over_https_with_the_length_of_its_body(
    authority: str, path: str, others: list[tuple[bytes, str]], length: int
) -> None:
    block = (
        hpack_encoding.request_start(authority)
        + hpack_encoding.string_literal(path.encode())
        + hpack_encoding.field_block(others)
        + hpack_encoding.content_length_field(length)
    )
    assert read(block) == [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", authority.encode()),
        (b":path", path.encode()),
        *((name, value.encode()) for name, value in others),
        (b"content-length", b"%d" % length),
    ]
