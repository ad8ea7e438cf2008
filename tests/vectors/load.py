"""Read the recorded exchanges beside this file. Invariant: what is read is what was recorded, bytes for bytes.

The recorder shortened three things, and this module alone knows how: a body that is not text is base64, a huge body is
a list of parts to be repeated, and a repeated request to a provider only says that it equals the first.
"""

import base64
import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Vector:
    """One exchange: what a server asked, what the provider was told to answer, what the reference proxy did."""

    name: str
    family: str
    sub: str
    tags: tuple[str, ...]
    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    device_token: str | None
    marker: str | None
    provider_answer: dict[str, Any] | None
    provider_requests: tuple[dict[str, Any], ...]
    provider_requests_total: int
    response: dict[str, Any]
    needs: dict[str, Any] | None
    serial: bool
    burst: int
    error_text_varies: bool

    @property
    def verdict(self) -> str | None:
        """The status in the answer (OK, REMOVE or FAIL), None if the answer is not one to a push or an ack."""
        try:
            answer = json.loads(self.response["body"])
        except ValueError:
            return None
        return answer.get("status") if isinstance(answer, dict) else None


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """One request as a real Mattermost server sent it; header names and their order are the server's own."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    tls: bool


@cache
def pushes() -> tuple[Vector, ...]:
    """Return the 1,459 exchanges of /api/v1/send_push."""
    return tuple(map(_vector, _lines("send_push")))


@cache
def acks() -> tuple[Vector, ...]:
    """Return the 98 exchanges of /api/v1/ack."""
    return tuple(map(_vector, _lines("ack")))


@cache
def others() -> tuple[Vector, ...]:
    """Return the 49 exchanges about paths, methods, access tokens, client certificates and the throttle."""
    return tuple(map(_vector, _lines("other")))


@cache
def everything() -> tuple[Vector, ...]:
    """Return all 1,606 exchanges."""
    return (*pushes(), *acks(), *others())


@cache
def server_requests() -> tuple[ServerRequest, ...]:
    """Return the 59 requests of a real Mattermost server."""
    return tuple(
        ServerRequest(
            method=line["method"],
            path=line["path"],
            headers=tuple((name, value) for name, value in line["headers"]),
            body=line["body"].encode(),
            tls=line["tls"],
        )
        for line in _lines("mattermost_server")
    )


def expand_body(request: dict[str, Any]) -> bytes | None:
    """Return the bytes of a recorded request body, None where there was none."""
    if "body_parts" in request:
        parts = (part if isinstance(part, str) else part[0] * part[1] for part in request["body_parts"])
        return "".join(parts).encode()
    if "body_b64" in request:
        return base64.b64decode(request["body_b64"])
    body: str | None = request.get("body")
    return None if body is None else body.encode()


def _lines(name: str) -> Iterator[dict[str, Any]]:
    """Read one compressed file of JSON lines."""
    with lzma.open(HERE / f"{name}.jsonl.xz", "rt", encoding="utf-8", newline="\n") as file:
        for line in file:
            yield json.loads(line)


def _vector(line: dict[str, Any]) -> Vector:
    """Build a vector from its line, with the repeated provider requests written out."""
    requests: list[dict[str, Any]] = []
    for request in line["provider_requests"]:
        requests.append({**requests[0], "t": request["t"]} if request.get("same_as_first") else request)
    request = line["request"]
    return Vector(
        name=line["name"],
        family=line["family"],
        sub=line["sub"],
        tags=tuple(line["tags"]),
        method=request["method"],
        path=request["path"],
        headers=request["headers"],
        body=expand_body(request),
        device_token=line.get("device_token"),
        marker=line.get("marker"),
        provider_answer=line["provider_answer"],
        provider_requests=tuple(requests),
        provider_requests_total=line.get("provider_requests_total", len(requests)),
        response=line["response"],
        needs=line.get("needs"),
        serial=line.get("serial", False),
        burst=line.get("burst", 1),
        error_text_varies=line.get("error_text_varies", False),
    )
