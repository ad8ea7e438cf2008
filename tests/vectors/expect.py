"""What a replay must show: the recording, changed by the rows of the table that are about the vector, and nothing else.

Invariant: nothing is skipped. Every vector agrees with the recording, differs as its rows say, or is named as a fault;
a row is at work only if the vector would be a fault without it.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.vectors.compare import without
from tests.vectors.difference import Difference, Expected
from tests.vectors.load import Vector
from tests.vectors.replay import MACHINES, Seen

# Seconds until an answer, whatever the providers do: the service's 5, and what the machine of a test is slow.
DEADLINE = 6.5
APNS_HEADERS = ("apns-topic", "apns-push-type", "apns-priority")


@dataclass(slots=True)
class Report:
    """Which vectors agree, which rows explain how many others, and what nothing explains."""

    agree: list[str] = field(default_factory=list)
    explained: Counter[Difference] = field(default_factory=Counter)
    differ: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{len(self.agree)} agree, {len(self.differ)} differ on purpose, {len(self.faults)} otherwise"


def judge(
    vectors: Iterable[Vector], seen: Mapping[str, Seen], hosts: Mapping[str, str], rows: Sequence[Difference]
) -> Report:
    """Compare what was seen with what is expected. hosts: who stands in for each host of the recording."""
    report = Report()
    for vector in vectors:
        covering = [row for row in rows if row.covers(vector.name, vector.tags)]
        faults = list(_faults(vector, seen[vector.name], hosts, covering))
        if faults:
            explanations = "".join(f"\n    although: {row.instead}" for row in covering)
            report.faults.append(f"{vector.name}: {'; '.join(faults)}{explanations}")
        elif not any(_faults(vector, seen[vector.name], hosts, ())):
            report.agree.append(vector.name)
        else:
            report.differ.append(vector.name)
            for row in covering:
                others = [other for other in covering if other is not row]
                if any(_faults(vector, seen[vector.name], hosts, others)):
                    report.explained[row] += 1
    return report


def idle(report: Report, rows: Iterable[Difference]) -> list[str]:
    """What each row says we do that explains nothing, and each vector it names that no longer differs."""
    rows = list(rows)
    agree = set(report.agree)
    return [row.instead for row in rows if not report.explained[row]] + [
        name for row in rows for name in row.names if name in agree
    ]


def recorded(vector: Vector) -> Expected:
    """What the reference did."""
    pushes = [one for one in vector.provider_requests if one["provider"] != "oauth"]
    grants = len(vector.provider_requests) - len(pushes)
    return Expected(
        status=vector.response["status"],
        verdict=vector.verdict if vector.path.partition("?")[0] in MACHINES else None,
        requests=vector.provider_requests_total - grants,
        grants=grants,
    )


def _faults(vector: Vector, seen: Seen, hosts: Mapping[str, str], rows: Iterable[Difference]) -> Iterator[str]:
    """Everything that is not as recorded, given these rows."""
    expected, members = recorded(vector), set[str]()
    for row in rows:
        members.update(row.members)
        expected = replace(expected, **row.expected)
    shown: dict[str, tuple[Any, Any]] = {
        "HTTP status": (seen.answer.status, expected.status),
        "requests": (len(seen.requests), expected.requests),
        "grants": (seen.grants, expected.grants),
    }
    if expected.verdict is not None:
        shown["verdict"] = (seen.verdict, expected.verdict)
    if expected.code:
        shown["code"] = (seen.code, expected.code)
    for what, (ours, wanted) in shown.items():
        if ours not in wanted if isinstance(wanted, range | tuple) else ours != wanted:
            yield f"{what}: {ours} {seen.answer.body[:200].decode(errors='replace')} instead of {wanted}"
    if _form(seen.answer.body) != _form(vector.response["body"]):
        yield f"the answer's form: {seen.answer.body[:200].decode(errors='replace')}"
    if seen.answer.seconds > DEADLINE:
        yield f"answered after {seen.answer.seconds:.1f} s"
    if "location" in seen.answer.headers:
        yield f"a redirect to {seen.answer.headers['location']}"
    theirs = next((one for one in vector.provider_requests if one["provider"] != "oauth"), None)
    for request in seen.requests:
        if request["check"]:
            yield f"the provider would refuse it: {request['check']}"
        if theirs is not None:
            yield from _compare(request, theirs, hosts, members, expected.encoded)


def _form(body: bytes | str) -> list[str]:
    """The names and types of an answer's members, unless it is one to a push or an ack, or no JSON."""
    try:
        decoded = json.loads(body)
    except ValueError:
        return []
    members = decoded if isinstance(decoded, dict) and "status" not in decoded else {}
    return sorted(f"{name}: {type(value).__name__}" for name, value in members.items())


def _compare(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], hosts: Mapping[str, str], members: set[str], encoded: bool
) -> Iterator[str]:
    """Everything in a request to a provider that is not as in the reference's."""
    wanted = {
        "provider": theirs["provider"],
        "method": theirs["method"],
        "path": theirs["path"],
        "host": hosts[theirs["host"]],
        "client certificate": "client_certificate" in theirs,
    }
    had = {
        "provider": ours["provider"],
        "method": ours["method"],
        "path": ours["path"],
        "host": ours["host"],
        "client certificate": "client_certificate" in ours,
    }
    if theirs["provider"] == "apns":
        wanted |= {name: theirs["headers"].get(name) for name in APNS_HEADERS}
        had |= {name: ours["headers"].get(name) for name in APNS_HEADERS}
        wanted["signed by"], had["signed by"] = _signer(theirs), _signer(ours)
    if encoded:
        del wanted["path"]
        if not had["path"].startswith("/3/device/") or not set(had["path"][10:]).isdisjoint("/?# "):
            yield f"path: {had['path']} is not one segment"
    for what, value in wanted.items():
        if had[what] != value:
            yield f"{what}: {had[what]} instead of {value}"
    body = ours["json"]
    if ours["provider"] == "fcm" and isinstance(body, dict):
        body = without(body, ["message.android.ttl"])
    if without(body, members) != without(theirs["json"], members):
        yield f"body: {json.dumps(body)} instead of {json.dumps(theirs['json'])}"


def _signer(request: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """The key and the team that signed a request to Apple; None if nobody did."""
    shape = request["headers"].get("authorization")
    return None if shape is None else (shape["jwt_header"]["alg"], shape["jwt_header"]["kid"], shape["iss"])
