"""Compare what we would send to a provider with what the reference sent, by value. Invariant: nothing is skipped."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from delivery.protocol.wire import Push, decode_push
from tests.vectors import load
from tests.vectors.difference import Difference


@dataclass(slots=True)
class Comparison:
    """How many vectors agree, which rows explain how many others, and what nothing explains."""

    agree: int = 0
    explained: Counter[Difference] = field(default_factory=Counter)
    equal: set[str] = field(default_factory=set)
    unexplained: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.agree} agree, {self.explained.total()} differ on purpose, {len(self.unexplained)} otherwise"


def bodies(provider: str, ours: Callable[[Push], Any], rows: Iterable[Difference]) -> Comparison:
    """Compare the first request to `provider` of every recorded push with `ours`, the JSON that we send for it, None
    where we send nothing.
    """
    result = Comparison()
    rows = [row for row in rows if provider in row.providers]
    for vector in (*load.pushes(), *load.others()):
        theirs = next((sent["json"] for sent in vector.provider_requests if sent["provider"] == provider), None)
        if theirs is None:
            continue
        ours_now = ours(decode_push(vector.body or b"")[0])
        if ours_now == theirs:
            result.agree += 1
            result.equal.add(vector.name)
            continue
        covering = [row for row in rows if row.covers(vector.name, vector.tags)]
        allowed = {member for row in covering for member in row.members}
        if ours_now is None:
            covering = [row for row in covering if row.expected.get("requests") == 0]
        elif without(ours_now, allowed) != without(theirs, allowed):
            covering = []
        if covering:
            result.explained[covering[0]] += 1
        else:
            result.unexplained.append(f"{vector.name}: {json.dumps(ours_now)} instead of {json.dumps(theirs)}")
    return result


def without(value: Any, paths: Iterable[str]) -> Any:
    """Return a copy of a JSON value without the members at these dotted paths."""
    copy = json.loads(json.dumps(value))
    for path in paths:
        *parents, last = path.split(".")
        inner = copy
        for step in parents:
            inner = inner.get(step, {})
        inner.pop(last, None)
    return copy


def idle(comparison: Comparison, provider: str, rows: Iterable[Difference]) -> list[str]:
    """Return what each row says we do that explains nothing, and each vector it names that no longer differs."""
    rows = [row for row in rows if provider in row.providers]
    idle_rows = [row.instead for row in rows if not comparison.explained[row]]
    return idle_rows + [name for row in rows for name in row.names if name in comparison.equal]
