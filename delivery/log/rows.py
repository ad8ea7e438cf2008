"""A row of the delivery log as text for COPY, made where a push ends.

A row travels as bytes through the list ROWS in Valkey, pushed there in one step with the answer to the server, so that
it is as durable as the queue; delivery/log/writing.py moves what has come together into PostgreSQL.
"""

import hashlib
import re
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from delivery.outcomes.verdict import Answer, Attempt, Verdict
from delivery.protocol import mattermost_id
from delivery.protocol.wire import Push

ROWS = "log:rows"
# What the rollups count a push under stands last, behind the attempts, and what they measure first (counting.py).
CELL = (
    *("customer_id", "server_id", "key_id", "app_id", "platform", "type"),
    *("outcome", "code", "answer", "attribution", "counts", "count"),
)
COLUMNS = (
    *("accepted_at", "ended_at", "trace", "sub_type", "mattermost_id", "device", "size", "ack_id", "post_id"),
    *("attempts", *CELL),
)
COPY = f"COPY delivery_delivery ({', '.join(COLUMNS)}) FROM STDIN"
# In place of a key's id, for a push that came without one. It is no event of the SLA.
NO_KEY = NO_APP = "\\N"
# Characters of a member of a push that are kept; Mattermost's ids have 26, and a stranger's must not swell the log.
KEPT = 64

# The columns of a line as the version before wrote it: without post_id, and with the ack_id as text.
_EARLIER = (
    *("trace", "accepted_at", "ended_at", "customer_id", "server_id", "key_id", "app_id", "platform", "type"),
    *("sub_type", "ack_id", "mattermost_id", "device", "size", "outcome", "code", "answer", "attribution", "counts"),
    *("attempts", "count"),
)
_ESCAPED = re.compile(rb"\\(.)")
_MEANT = {b"t": b"\t", b"n": b"\n", b"r": b"\r"}
# A bracket at the end of a label would be taken for that of the attempts.
_SPECIAL = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "", "]": "\\x5d"})
# JSON has no control character in a text (RFC 8259, 7); what a peer says may have any.
_JSON_QUOTED = str.maketrans({chr(code): " " for code in range(32)} | {"\\": "\\\\\\\\", '"': '\\\\"', "\0": ""})


def fingerprint(device_id: str, hash_key: bytes) -> str:
    """A keyed hash of a device token, 32 hex digits: tells devices apart and cannot be turned back."""
    hashed = _keyed(hash_key).copy()
    hashed.update(device_id.encode())
    return hashed.hexdigest()


@lru_cache(maxsize=8)
def _keyed(hash_key: bytes) -> "hashlib.blake2b":
    """The hash with the key in it already: to copy it costs half of what it does to make it."""
    return hashlib.blake2b(digest_size=16, key=hash_key[:64])


@lru_cache(maxsize=8)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))


# Pushes come and end in bursts, so few milliseconds are formatted over and over.
@lru_cache(maxsize=1024)
def _millisecond(milliseconds: int) -> str:
    second, millisecond = divmod(milliseconds, 1000)
    return f"{_second(second)}.{millisecond:03d}+00"


def moment(at: float) -> str:
    """A timestamp as PostgreSQL reads it, to the millisecond, from unix seconds."""
    return _millisecond(int(at * 1000 + 0.5))


# What the lines of a sender's pushes of one kind have in common, for verdicts by identity: they are rows of a table,
# and to hash one is to hash its texts. With each the verdict, so that no other one has its identity meanwhile.
_COMMON: Final[dict[tuple[str, int | None, str, str, str, str, int], tuple[str, str, Verdict]]] = {}
# Entries of it; one has less than a KB, for what a stranger sends is kept only where it is short.
COMMON_MOST: Final = 2_000


def _common_columns(who: str, app_id: int | None, push: Push, verdict: Verdict) -> tuple[str, str, Verdict]:
    """The columns of a line that stand before the device's, and those behind the attempts."""
    key = (who, app_id, push.platform, push.type, push.sub_type, push.server_id, id(verdict))
    known = _COMMON.get(key)
    if known is not None:
        return known
    members = (push.platform, push.type, push.sub_type, push.server_id)
    platform, kind, sub_type, server_id = (member[:KEPT].translate(_SPECIAL) for member in members)
    counts = "t" if verdict.counts_in_sla and not who.endswith(NO_KEY) else "f"
    common = (
        f"{sub_type}\t{server_id}",
        f"{who}\t{NO_APP if app_id is None else app_id}\t{platform}\t{kind}\t{verdict.outcome.value}\t{verdict.code}\t"
        f"{Answer(verdict.answer).name}\t{verdict.attribution}\t{counts}",
        verdict,
    )
    if len(_COMMON) >= COMMON_MOST:
        _COMMON.clear()
    if all(len(member) <= KEPT for member in members):
        _COMMON[key] = common
    return common


def _attempt(attempt: Attempt) -> str:
    extra = ""
    if attempt.reason:
        extra = f',"reason":"{attempt.reason[:KEPT].translate(_JSON_QUOTED)}"'
    if attempt.detail:
        extra += f',"detail":"{attempt.detail[:200].translate(_JSON_QUOTED)}"'
    return f'{{"at":{attempt.at:.3f},"host":"{attempt.host}","status":{attempt.status},"ms":{attempt.ms}{extra}}}'


def row(
    trace: str,
    accepted_at: float,
    ended_at: float,
    who: str,
    app_id: int | None,
    push: Push,
    device: str,
    size: int,
    verdict: Verdict,
    attempts: Sequence[Attempt],
    count: int = 1,
) -> bytes:
    """A row as one line for COPY. `who` is "customer<TAB>server<TAB>key" (ids); unix seconds; size in bytes."""
    before, behind, _ = _common_columns(who, app_id, push, verdict)
    attempts_json = _attempt(attempts[0]) if len(attempts) == 1 else ",".join(map(_attempt, attempts))
    ids = mattermost_id.copy_texts(push.ack_id[:KEPT], push.post_id[:KEPT])
    return (
        f"{moment(accepted_at)}\t{moment(ended_at)}\t{trace}\t{before}\t{device}\t{size}\t{ids}\t"
        f"[{attempts_json}]\t{behind}\t{count}\n"
    ).encode("utf-8", "replace")


def trace_of(line: bytes) -> bytes:
    """The trace id of the push that a row is of."""
    return line.split(b"\t", 3)[2]


def with_trace(line: bytes, trace: str) -> bytes:
    """A row with another trace: the same line, of a push that is sent once more."""
    *head, _, rest = line.split(b"\t", 3)
    return b"\t".join((*head, trace.encode(), rest))


def with_count(line: bytes, count: int) -> bytes:
    """A row with another count: the same line, standing for `count` pushes."""
    return b"%b\t%d\n" % (line.rpartition(b"\t")[0], count)


def with_answer(line: bytes, answer: Answer) -> bytes:
    """A row with another answer: the same line, of a push whose server was told something else."""
    head, _, *tail = line.rsplit(b"\t", 4)
    return b"\t".join((head, answer.name.encode(), *tail))


def of_today(blob: bytes) -> bytes:
    """The same lines, those of the version before as lines of this one: what waited in Valkey during an update."""
    return b"".join(map(_of_today, blob.splitlines(keepends=True)))


def _of_today(line: bytes) -> bytes:
    fields = line.rstrip(b"\n").split(b"\t")
    if len(fields) != len(_EARLIER):
        return line
    of = dict(zip(_EARLIER, fields, strict=True))
    ack_id = _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), of["ack_id"])
    of["ack_id"] = mattermost_id.copy_text(ack_id.decode(errors="replace")).encode()
    of["post_id"] = mattermost_id.NULL.encode()
    for label in ("platform", "type"):
        of[label] = of[label].replace(b"]", b"\\x5d")
    return b"\t".join(of[name] for name in COLUMNS) + b"\n"
