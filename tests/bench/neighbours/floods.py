"""The floods: each is somebody who is a nuisance, by error or by will, while the quiet customer goes on.

A flood that needs what the measured checkout has not raises Skip.
"""

import time
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from tests.bench.neighbours import raw_http
from tests.bench.neighbours.far_provider import SILENT
from tests.bench.neighbours.scene import Running, Scene
from tests.bench.neighbours.seeding import RATE, Somebody
from tests.tenants import files

Begin = Callable[[Scene], list[Running]]
BIG: Final = 240_000
"""Bytes of one member of a large push; the front door takes 256 KB."""
FAR: Final = "apple_rnbeta-v2"
OWN: Final = "apple_own-v2"
SILENT_RATE: Final = 600.0


class Flood(msgspec.Struct, frozen=True):
    """One flood. door: how the quiet customer comes in, and with it what its figures are held against: over plain HTTP,
    over TLS, or to phones whose provider is far away. peek: what is looked at in the middle of it."""

    name: str
    what: str
    begin: Begin
    door: Literal["plain", "tls", "far"] = "plain"
    peek: Callable[[Scene], str] | None = None


def _pushes(connections: int, **members: object) -> Begin:
    return lambda scene: [scene.closed(connections, scene.push(scene.cast.neighbour.key, **members))]


def _overdrawn(scene: Scene) -> list[Running]:
    request = scene.push(scene.cast.neighbour.key)
    return [scene.load("open", 512, request, rate=10 * RATE)]


def _unlimited(scene: Scene) -> list[Running]:
    return [scene.closed(512, scene.push(scene.cast.large.key))]


def _silent(scene: Scene) -> list[Running]:
    request = scene.push(scene.cast.large.key, platform=OWN, device_id=SILENT + "ab" * 24)
    return [scene.load("open", 4000, request, rate=SILENT_RATE)]


def _acks(scene: Scene) -> list[Running]:
    ack = b'{"id":"%b","received_at":1790000000000,"platform":"ios","type":"message"}' % raw_http.ACK
    return [scene.closed(64, raw_http.post(f"/t/{scene.cast.neighbour.key}/api/v1/ack", ack))]


def _malformed(scene: Scene) -> list[Running]:
    whole = scene.push(scene.cast.neighbour.key)
    head = whole.partition(b"Content-Length")[0]
    return [scene.closed(64, head + b"Content-Length: 9\r\n\r\nno push: ")]


def _free(**members: object) -> Begin:
    return lambda scene: [scene.closed(64, scene.push(scene.cast.free.key, **members))]


def _unknown_key(connections: int) -> Begin:
    def begin(scene: Scene) -> list[Running]:
        key = scene.cast.neighbour.key
        changed = key[:-1] + ("b" if key[-1] == "a" else "a")
        return [scene.closed(connections, scene.push(changed, message="x" * BIG))]

    return begin


def _override(rate: float, who: str = "free") -> Begin:
    def begin(scene: Scene) -> list[Running]:
        key = getattr(scene.cast, who).key
        request = scene.push(key, platform=FAR, override_username="x" * BIG)
        return [scene.load("open", 400, request, rate=rate)]

    return begin


def _idle(scene: Scene) -> list[Running]:
    return [scene.load("idle", 4500)]


def _idle_tls(scene: Scene) -> list[Running]:
    # Handshakes are dear: by two processes it is at full force in half the time.
    return [scene.load("idle", 2250, port=scene.service.tls_port, ca_file=scene.ca_file) for _ in range(2)]


def _pages(connections: int, path: str) -> Begin:
    return lambda scene: [scene.closed(connections, scene.page(path))]


def _long_path(scene: Scene) -> list[Running]:
    request = scene.page("/" + "a" * 58_000).replace(b"GET /", b"POST /", 1)
    return [scene.closed(16, request.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"))]


def _exports(scene: Scene) -> list[Running]:
    who = scene.cast.neighbour
    path = f"/c/{who.slug}/settings/export/"
    scene.require(path, who.session)
    return [scene.load("closed", 16, scene.form(path, who.session, {}))]


def _test_pushes(scene: Scene) -> list[Running]:
    who = scene.cast.neighbour
    scene.require(f"/c/{who.slug}/test/", who.session)
    fields = {
        "server": who.server,
        "app": str(scene.cast.far_app),
        "target": "pasted",
        "device_id": SILENT + "ab" * 24,
    }
    return [scene.load("closed", 16, scene.form(f"/c/{who.slug}/test/", who.session, fields))]


def _withheld(scene: Scene) -> list[Running]:
    # A request of exactly the eight megabytes that pages take.
    empty = scene.form("/account/login/", "", {}, ("big", b""))
    room = 8 * 1024 * 1024 - len(empty.partition(b"\r\n\r\n")[2])
    return [scene.load("withhold", 150, scene.form("/account/login/", "", {}, ("big", b"x" * room)))]


def _upload(name: str, content: bytes, connections: int, *people: str, password: str = "") -> Begin:
    def begin(scene: Scene) -> list[Running]:
        running = []
        for person in people:
            who = getattr(scene.cast, person)
            request = _uploaded(scene, who, name, content, password)
            running.append(scene.load("closed", connections, request))
        return running

    return begin


def _uploaded(scene: Scene, who: Somebody, name: str, content: bytes, password: str) -> bytes:
    page = f"/c/{who.slug}/apps/{who.app}/"
    scene.require(page, who.session)
    return scene.form(f"{page}credentials/", who.session, {"password": password}, (name, content))


def _another_upload(scene: Scene) -> str:
    """How long a third customer waits for the answer to a .p12 file whose password it has mistyped."""
    request = _uploaded(scene, scene.cast.quiet, "push.p12", files.p12(b"pw"), "wp")
    began = time.monotonic()
    word = raw_http.asked(scene.service.port, request, 30)
    return f"another customer's upload: {word} after {time.monotonic() - began:.1f} s"


def slow_p12() -> bytes:
    """A .p12 file whose integrity check (RFC 7292, MacData) wants 16.7 million rounds."""
    return files.endless_p12()[:-4] + b"\x00\xff\xff\xff"


def _temporary_bytes(scene: Scene) -> str:
    return f"{scene.temporary_bytes() / 1e6:,.0f} MB of temporary files"


FLOODS: Final = (
    Flood("ten-times", "a neighbour at ten times its limit, in open loop", _overdrawn),
    Flood("closed-64", "the same neighbour on 64 connections, in closed loop", _pushes(64)),
    Flood("closed-512", "a large customer, whom no limit holds, on 512 connections, in closed loop", _unlimited),
    Flood("silent-own", "the same at 600/s by a key of its own, to a provider that says nothing", _silent),
    Flood("acks", "receipts of pushes that there never were, with its key, on 64 connections", _acks),
    Flood("malformed", "bodies that are no push, with its key, on 64 connections", _malformed),
    Flood("session", "`session` pushes with a text, with a free key, on 64 connections", _free(type="session")),
    Flood(
        "wipes",
        "`session` pushes without one (wipes), with a free key, on 64 connections",
        _free(type="session", message="", cont_ava=1, sound="none"),
    ),
    Flood("large", "240 KB of message, with a key, on 64 connections", _pushes(64, message="x" * BIG)),
    Flood("large-400", "the same on 400", _pushes(400, message="x" * BIG)),
    Flood("large-unknown", "240 KB of message with a key that nobody has, on 64 connections", _unknown_key(64)),
    Flood("large-unknown-400", "the same on 400", _unknown_key(400)),
    Flood("override-5", "240 KB of override_username at 5/s, with a free key, to a far provider", _override(5), "far"),
    Flood("override-10", "the same at 10/s with a neighbour's key", _override(10, "neighbour"), "far"),
    Flood("idle", "4,500 idle connections from one address", _idle),
    Flood("idle-tls", "the same over TLS", _idle_tls, "tls"),
    Flood("login-16", "GET /account/login/ on 16 connections", _pages(16, "/account/login/")),
    Flood("login-400", "GET /account/login/ on 400 connections", _pages(400, "/account/login/")),
    Flood("long-path", "POST with a path of 58 KB on 16 connections", _long_path),
    Flood("exports", "16 exports of one owner at once", _exports),
    Flood("test-pushes", "16 test pushes of a page at once, to a provider that says nothing", _test_pushes),
    Flood("health", "GET /health/ready on 300 connections", _pages(300, "/health/ready")),
    Flood("withheld", "150 forms of 8 MB that withhold their last byte", _withheld, peek=_temporary_bytes),
    Flood(
        "pem",
        "a file of 100 KB that is nothing but beginnings of PEM, four uploads at once",
        _upload("push.pem", b"-----BEGIN A-----" * 5876, 4, "neighbour"),
    ),
    Flood(
        "p12",
        "two .p12 files of 16.7 million rounds, of two customers",
        _upload("push.p12", slow_p12(), 1, "neighbour", "free", password="pw"),
        peek=_another_upload,
    ),
)
