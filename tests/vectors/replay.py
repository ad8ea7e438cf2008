"""Replay recorded exchanges against a running service over HTTP, and gather what it did.

A replay puts a key of ours in place of the recorded credentials and changes nothing else. Invariant: every vector
becomes exactly one request (or its burst), and every request that a provider got belongs to exactly one vector.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.vectors.company import PAUSE, Company
from tests.vectors.http1 import Answer, Connection, request
from tests.vectors.load import Vector

CONNECTIONS = 64
MACHINES = ("/api/v1/send_push", "/api/v1/ack")


@dataclass(slots=True)
class Seen:
    """What the service did with one vector: its answer (of a burst the worst), and what the providers got from it."""

    answer: Answer
    requests: list[dict[str, Any]] = field(default_factory=list)
    grants: int = 0

    @property
    def fields(self) -> dict[str, str] | None:
        """The answer's body as a push's or an ack's, a flat object of strings with a status; else None."""
        try:
            body = json.loads(self.answer.body)
        except ValueError:
            return None
        flat = isinstance(body, dict) and all(isinstance(value, str) for value in body.values())
        return body if flat and "status" in body else None

    @property
    def verdict(self) -> str | None:
        """OK, REMOVE or FAIL; None if the answer is not one to a push or an ack."""
        return self.fields["status"] if self.fields else None

    @property
    def code(self) -> str:
        """The stable code that begins the text of a FAIL; "" if there is none."""
        return self.fields.get("error", "").partition(" ")[0] if self.fields else ""


def basic(key: str) -> str:
    """The Authorization header that Go makes of https://x:KEY@host."""
    return "Basic " + b64encode(f"x:{key}".encode()).decode()


def bytes_of(vector: Vector, key: str, *, in_path: bool) -> bytes:
    """The vector's request with our key: in the path, or as Basic authentication (always where the path matters)."""
    headers = {"Host": "127.0.0.1", **vector.headers}
    path = vector.path
    if in_path and path.partition("?")[0] in MACHINES and "Authorization" not in headers:
        path = f"/t/{key}{path}"
    else:
        headers["Authorization"] = basic(key)
    if vector.body is not None and not headers.keys() & {"Content-Length", "Transfer-Encoding"}:
        headers["Content-Length"] = str(len(vector.body))
    return request(vector.method, path, headers.items(), vector.body)


def scripts(vectors: Iterable[Vector]) -> dict[str, Sequence[dict[str, Any]]]:
    """What the sandbox shall answer, by device token and, for access tokens, by service account."""
    scripted: dict[str, Sequence[dict[str, Any]]] = {}
    for vector in vectors:
        if vector.provider_answer is not None and vector.device_token:
            scripted[vector.device_token] = vector.provider_answer["sequence"]
            if "oauth_key" in vector.provider_answer:
                scripted[vector.provider_answer["oauth_key"]] = vector.provider_answer["oauth_sequence"]
    return scripted


def is_slow(vector: Vector) -> bool:
    """Whether its answer takes seconds, or holds the providers' connections up: such vectors run beside each other."""
    answers = [
        *(vector.provider_answer or {}).get("sequence", ()),
        *(vector.provider_answer or {}).get("oauth_sequence", ()),
    ]
    return any({"hang", "delay", "reset", "goaway", "cut"} & answer.keys() for answer in answers)


def replay(vectors: Sequence[Vector], port: int, key: str) -> tuple[dict[str, Seen], Company]:
    """Send every vector's request to the service on this port: what was answered, by its name, and who kept company."""
    company = Company(port, key)
    return asyncio.run(_replay(vectors, port, key, company)), company


async def _replay(vectors: Sequence[Vector], port: int, key: str, company: Company) -> dict[str, Seen]:
    seen: dict[str, Seen] = {}
    alone = [vector for vector in vectors if vector.serial]
    slow = [vector for vector in vectors if is_slow(vector) and not vector.serial]
    quick = iter(_spread([vector for vector in vectors if not is_slow(vector) and not vector.serial]))

    in_path = {vector.name for vector in vectors[::2]}

    async def run(connection: Connection, queue: Iterable[Vector], pause: float = 0.0) -> None:
        for vector in queue:
            seen[vector.name] = Seen(await _one(connection, vector, port, key, in_path=vector.name in in_path))
            await asyncio.sleep(pause)
        await connection.close()

    async def run_later(vector: Vector, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await run(Connection(port), [vector])

    keeping = asyncio.create_task(company.keep())
    # Slower than the company is: else those that a provider fails are most of what comes in some tenth of a second.
    await asyncio.gather(*(run(Connection(port), quick, 3 * PAUSE) for _ in range(CONNECTIONS)))
    await asyncio.gather(*(run_later(vector, PAUSE * number) for number, vector in enumerate(slow)))
    keeping.cancel()
    await asyncio.wait([keeping])
    await run(Connection(port), alone)
    return seen


def _spread(vectors: Sequence[Vector]) -> list[Vector]:
    """In order, but for those that a provider fails, which stand together in the recordings: evenly among all."""
    failed = [vector for vector in vectors if _is_failed(vector)]
    others = [vector for vector in vectors if not _is_failed(vector)]
    step = len(others) // (len(failed) + 1)
    for number, vector in enumerate(failed):
        others.insert((number + 1) * step + number, vector)
    return others


def _is_failed(vector: Vector) -> bool:
    answers = (vector.provider_answer or {}).get("sequence", ())
    return any(answer.get("status", 0) >= 500 for answer in answers)


async def _one(connection: Connection, vector: Vector, port: int, key: str, *, in_path: bool) -> Answer:
    content = bytes_of(vector, key, in_path=in_path)
    if vector.burst == 1:
        return await connection.send(content, last="Content-Length" in vector.headers)
    many = [Connection(port) for _ in range(CONNECTIONS)]
    answers: list[Answer] = []

    async def burst(one: Connection) -> None:
        while len(answers) < vector.burst:
            answers.append(Answer(0))
            place = len(answers) - 1
            answers[place] = await one.send(content)
        await one.close()

    await asyncio.gather(*map(burst, many))
    return next((answer for answer in answers if answer.status != vector.response["status"]), answers[0])


def hand_out(
    requests: Iterable[dict[str, Any]], vectors: Sequence[Vector], seen: dict[str, Seen]
) -> list[dict[str, Any]]:
    """Give each request of the sandbox's journal to the vector it came from; returns those that came from none."""
    by_token = {vector.device_token: vector.name for vector in vectors if vector.device_token}
    by_account = {
        vector.provider_answer["oauth_key"]: vector.name
        for vector in vectors
        if vector.provider_answer and "oauth_key" in vector.provider_answer
    }
    by_marker = {vector.marker: vector.name for vector in vectors if vector.marker}
    strays = []
    for one in requests:
        token = unquote(one["token"]) if one["provider"] == "apns" else one["token"]
        name = by_token.get(token) or next((by_marker[marker] for marker in by_marker if marker in token), None)
        if name is not None:
            seen[name].requests.append(one)
        elif one["token"] in by_account:
            seen[by_account[one["token"]]].grants += 1
        elif one["provider"] != "oauth":
            strays.append(one)
    return strays
