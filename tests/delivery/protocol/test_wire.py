"""Pushes and acks from bytes: the quick decoder, the careful one, and what the reference proxy made of the same."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.protocol import go_json, wire
from delivery.protocol.wire import Ack, Malformed, Push
from tests.vectors import load

BODY = b'{"ack_id":"a","platform":"apple_rn-v2","server_id":"s","device_id":"d","badge":3,"is_id_loaded":true}'
MEMBERS = {field.name: field.type for field in msgspec.structs.fields(Push)}
WORDS = {name: "text" if kind is str else True if kind is bool else 7 for name, kind in MEMBERS.items()}


def test_an_ordinary_body_is_passed_on_as_it_came() -> None:
    push, body = wire.decode_push(BODY)
    assert (push.badge, push.device_id, push.is_id_loaded, push.message) == (3, "d", True, "")
    assert body is BODY


@pytest.mark.parametrize(
    "odd",
    [
        BODY.replace(b"badge", b"Badge"),
        BODY.replace(b"{", b'{"unknown":[1,{"a":null}],', 1),
        BODY.replace(b"{", b'{"message":null,', 1),
        BODY + b" and more",
    ],
)
def test_an_odd_body_is_passed_on_as_the_quick_decoder_takes_it(odd: bytes) -> None:
    push, body = wire.decode_push(odd)
    assert push == wire.decode_push(BODY)[0]
    assert wire.decode_push(body) == (push, body)


def test_invalid_text_is_passed_on_valid() -> None:
    push, body = wire.decode_push(b'{"message":"a\xff\\ud800b","device_id":"d"}')
    assert push.message == "a\ufffd\ufffdb"
    assert wire.decode_push(body) == (push, body)


@pytest.mark.parametrize("number", [b"9223372036854775808", b"-9223372036854775809", b"1" * 100_000])
@pytest.mark.parametrize("member", [b"badge", b"cont_ava"])
def test_a_number_beyond_64_bits_is_malformed(member: bytes, number: bytes) -> None:
    with pytest.raises(Malformed, match="64 bits"):
        wire.decode_push(b'{"' + member + b'":' + number + b"}")


def test_every_member_arrives_by_both_decoders() -> None:
    body = json.dumps(WORDS).encode()
    quick, same = wire.decode_push(body)
    careful, _ = wire.decode_push(body.replace(b"{", b'{"x":0,', 1))
    assert same is body
    assert quick == careful == Push(**WORDS)


@pytest.mark.parametrize("member", sorted(MEMBERS))
def test_every_member_of_the_wrong_type_fails_the_push(member: str) -> None:
    wrong: object = 1 if MEMBERS[member] in (str, bool) else "1"
    with pytest.raises(Malformed, match=member):
        wire.decode_push(json.dumps(WORDS | {member: wrong}).encode())


def test_an_ack_is_read_by_both_decoders() -> None:
    ack = Ack(id="a", received_at=1_700_000_000_000, platform="ios", type="message", is_id_loaded=True)
    body = msgspec.json.encode(ack)
    assert wire.decode_ack(body) == ack
    assert wire.decode_ack(body.replace(b'"id"', b'"ID"') + b"x") == ack
    with pytest.raises(Malformed, match="received_at"):
        wire.decode_ack(b'{"id":"a","received_at":"1"}')


def test_the_answers_are_flat_objects_of_strings() -> None:
    assert json.loads(wire.OK_BODY) == {"status": "OK"}
    assert json.loads(wire.REMOVE_BODY) == {"status": "REMOVE"}
    text = 'apns_bad_device_token "x" <\u00e4\n>'
    assert json.loads(wire.fail_body(text)) == {"status": "FAIL", "error": text}


def test_every_recorded_push_is_read_or_refused_as_by_the_reference() -> None:
    for vector in load.pushes():
        refused = vector.response["body"].startswith('{"error":"Failed to read message body')
        try:
            wire.decode_push(vector.body or b"")
        except Malformed:
            assert refused, vector.name
        else:
            assert not refused, vector.name


def test_every_recorded_ack_is_read_or_refused_as_by_the_reference() -> None:
    for vector in load.acks():
        refused = vector.response["body"].startswith('{"error":"Failed to read ack body')
        try:
            ack = wire.decode_ack(vector.body or b"")
        except Malformed:
            assert refused, vector.name
        else:
            assert not refused, vector.name
            complete = bool(ack.id and ack.platform and ack.type)
            assert complete == (vector.verdict == "OK"), vector.name


def test_every_request_of_a_real_server_takes_the_quick_way() -> None:
    kinds = set()
    for request in load.server_requests():
        if request.path.endswith("/send_push"):
            push, body = wire.decode_push(request.body)
            assert body is request.body
            kinds.add(push.type)
        elif request.path.endswith("/ack"):
            assert isinstance(wire._quick_ack(request.body), Ack)
            kinds.add("ack")
    assert kinds >= {"message", "clear", "test", "ack"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)
member_names = st.sampled_from(sorted(MEMBERS)) | st.sampled_from(["Badge", "MESSAGE", "unknown", "po\u017ft_id"])
raw_texts = st.lists(
    st.text(max_size=4).map(lambda text: json.dumps(text)[1:-1])
    | st.sampled_from(["\\ud83d\\ude00", "\\ud800", "\\udc00", "\\uD83D", "\\u0041", "\\/", "\\x", "\x01"]),
    max_size=6,
).map(lambda parts: f'"{"".join(parts)}"')
raw_values = raw_texts | json_values.map(json.dumps) | st.sampled_from(["1.0", "-0", "1e3", "01", "-", "nul", "1E400"])
bodies = st.lists(st.tuples(member_names, raw_values), max_size=5).map(
    lambda pairs: "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"
)


@given(bodies.map(str.encode) | st.binary(max_size=200))
def test_no_bytes_raise_anything_but_malformed(body: bytes) -> None:
    for decode in (wire.decode_push, wire.decode_ack):
        try:
            decode(body)
        except Malformed:
            continue


@given(bodies.map(str.encode))
def test_the_two_decoders_agree_where_both_accept(body: bytes) -> None:
    try:
        quick = wire._quick_push(body)
    except (msgspec.MsgspecError, ValueError):
        return
    assert quick == Push(**go_json.decode(body, wire._PUSH_MEMBERS))


@given(bodies.map(str.encode))
def test_whatever_is_accepted_can_be_passed_on(body: bytes) -> None:
    try:
        push, onward = wire.decode_push(body)
    except Malformed:
        return
    assert wire._quick_push(onward) == push
