"""Requests whose head came before on their connection: what is read of them is what the parser would have read."""

import random
from collections.abc import Sequence

import pytest

from hpns.web import repeated_head
from hpns.web.request_head import RequestHead
from hpns.web.request_reader import REPEATED_MOST, REPEATED_SOUGHT, RequestError, RequestReader
from tests.hpns.web.doors import OK, push, running

HEAD = b"POST /t/key/api/v1/send_push HTTP/1.1\r\nHost: x\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: "
REST = b"\r\nAccept-Encoding: gzip\r\n\r\n"


def request(body: bytes, head: bytes = HEAD, rest: bytes = REST) -> bytes:
    """A request as a Mattermost server writes it."""
    return head + b"%d" % len(body) + rest + body


class Reading:
    """A connection's requests as they are read; `may_repeat`: whether heads are remembered."""

    def __init__(self, *, may_repeat: bool = True) -> None:
        self.heads: list[RequestHead] = []
        self.events: list[object] = []
        self._may_repeat = may_repeat
        self.reader = RequestReader("192.0.2.7:1", "http", self._on_head, self._on_body, self._on_complete)

    def _on_head(self, head: RequestHead, keep_alive: bool) -> bool:
        self.heads.append(head)
        self.events.append((head.method, head.target, head.version, list(head.headers.items()), keep_alive, b""))
        return self._may_repeat

    def _on_body(self, data: bytes) -> None:
        *same, body = self.events[-1]  # type: ignore[misc]
        self.events[-1] = (*same, body + data)  # pieces may be cut elsewhere

    def _on_complete(self) -> None:
        self.events.append("complete")

    def feed(self, pieces: Sequence[bytes]) -> list[object]:
        """What has come of them."""
        for piece in pieces:
            try:
                self.reader.feed(memoryview(piece))
            except RequestError as error:
                self.events.append(error.status)
                break
        return self.events


def is_repeated(*requests: bytes) -> bool:
    """Whether the last of them was read as one whose head came before."""
    reading = Reading()
    reading.feed(requests)
    return any(reading.heads[-1] is head for head in reading.heads[:-1])


def test_a_head_that_came_before_is_not_read_again_and_its_body_is_its_own() -> None:
    reading = Reading()
    reading.feed([request(b"first"), request(b"second one"), request(b"third")])
    assert reading.heads[2] is reading.heads[1] is reading.heads[0]
    bodies = [event[-1] for event in reading.events if event != "complete"]  # type: ignore[index]
    assert bodies == [b"first", b"second one", b"third"]
    assert reading.events[1::2] == ["complete"] * 3


def test_pushes_and_acks_of_one_connection_are_remembered_beside_each_other() -> None:
    ack = HEAD.replace(b"send_push", b"ack")
    pair = [request(b"1"), request(b"2", ack)]
    assert is_repeated(*pair, request(b"3"))
    assert is_repeated(*pair, request(b"3", ack))


@pytest.mark.parametrize(
    "other",
    [
        request(b"2", HEAD.replace(b"/t/key/", b"/t/kez/")),
        request(b"2", HEAD.replace(b"Host: x", b"Host: y")),
        request(b"2", HEAD.replace(b"Host: x\r\n", b"Host: x\r\nX-Forwarded-Proto: http\r\n")),
        request(b"2", HEAD, REST.replace(b"gzip", b"zstd")),
        request(b"2", HEAD, b"\r\nConnection: close" + REST),
        request(b"2", HEAD, b"\r\nExpect: 100-continue" + REST),
        request(b"2", HEAD.replace(b"Content-Length", b"content-length")),
        HEAD + b"0" + REST,
        HEAD + b" 1" + REST + b"2",
        HEAD + b"+1" + REST + b"2",
        HEAD + b"1 " + REST + b"2",
        HEAD + b"1" + REST,
        HEAD + b"1" + REST + b"23",
        HEAD + b"000000001" + REST + b"2",
        request(b"2") + request(b"3"),
        request(b"2", HEAD.replace(b"1.1\r\nHost", b"1.0\r\nHost")),
    ],
    ids=lambda value: repr(value[30:])[:60],
)
def test_whatever_is_not_the_same_head_with_its_whole_body_is_the_parsers(other: bytes) -> None:
    first = request(b"1")
    assert is_repeated(first, request(b"2"))
    assert not is_repeated(first, other)
    assert Reading().feed([first, other]) == Reading(may_repeat=False).feed([first, other])


def test_what_follows_a_head_that_was_broken_off_is_no_request_of_its_own() -> None:
    begun = HEAD + b"%d" % len(request(b"2")) + REST
    pieces = [request(b"1"), begun, request(b"2"), request(b"3")]
    found = Reading().feed(pieces)
    assert found == Reading(may_repeat=False).feed(pieces)
    assert found[2][-1] == request(b"2")  # type: ignore[index]


@pytest.mark.parametrize(
    "first",
    [
        request(b"1", HEAD.replace(b"Host: x", b"Host: x\r\nX: a\r\nX: b")),
        request(b"1", HEAD, b"\r\nExpect: 100-continue" + REST),
        request(b"1", HEAD, b"\r\nConnection: close" + REST),
        request(b"1", HEAD.replace(b"1.1\r\nHost", b"1.0\r\nHost")),
        request(b"1", HEAD.replace(b"Host: x", b"Host: " + b"x" * repeated_head.LONGEST)),
        HEAD.replace(b"Content-Length: ", b"Transfer-Encoding: chunked") + REST + b"1\r\n1\r\n0\r\n\r\n",
    ],
    ids=["two lines", "expect", "close", "1.0", "long", "chunked"],
)
def test_a_head_that_asks_for_more_is_not_remembered(first: bytes) -> None:
    assert not is_repeated(first, first)


def test_what_a_connection_remembers_is_bounded() -> None:
    reading = Reading()
    for number in range(3 * REPEATED_SOUGHT):
        reading.feed([request(b"1", HEAD.replace(b"key", b"key%d" % number))])
    assert len(reading.reader._repeated) == REPEATED_MOST
    assert reading.reader._sought == REPEATED_SOUGHT


@pytest.mark.parametrize("seed", range(40))
def test_any_stream_of_requests_in_any_pieces_is_read_as_by_the_parser_alone(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    heads = [HEAD, HEAD.replace(b"send_push", b"ack"), HEAD.replace(b"Host: x", b"Host: y")]
    whole = []
    for _ in range(chance.randint(2, 12)):
        body = bytes(chance.choices(b'{}":,ab\r\n', k=chance.choice((0, 1, 9, 10, 300))))
        one = request(body, chance.choices(heads, (6, 2, 1))[0])
        if chance.random() < 0.15:
            at = chance.randrange(len(one))
            one = one[:at] + bytes(chance.choices(b"\r\n 0:GP\0", k=chance.randint(0, 3))) + one[at + 1 :]
        whole.append(one)
    pieces: list[bytes] = []
    for one in whole:
        if chance.random() < 0.3:
            at = chance.randrange(len(one) + 1)
            pieces += [each for each in (one[:at], one[at:]) if each]
        elif pieces and chance.random() < 0.2:
            pieces[-1] += one
        else:
            pieces.append(one)
    assert Reading().feed(pieces) == Reading(may_repeat=False).feed(pieces)


async def test_a_fault_of_ours_at_a_head_that_came_before_is_answered_as_one() -> None:
    async with running() as door:
        caller = await door.connect()
        caller.send(push(b"1"))
        assert (await caller.answer())[2] == OK
        door.server.body_limit = None  # type: ignore[assignment]
        caller.send(push(b"2"))
        assert (await caller.answer())[0] == 500
