"""The SLA ledger's canonical form and cryptography: day files, hash chain, Merkle tree (RFC 6962), signed roots. Pure.

A day file of a customer is ASCII text of lines that end with LF: the HEADER, then a line for each minute of the day
with valid pushes or a verdict other than ok, in order of time, then the corrections that were filed on that day, in the
order of filing: each is a whole line that takes the place of the line of a minute of an earlier day. Numbers are
decimal without leading zeros, minutes read 2026-11-29T00:01Z. The file is the canonical form: its bytes are hashed.

    sha(d)  = SHA-256(file of day d)
    head(0) = SHA-256("sla-1" || LF || public id || LF)         the public id: 36 characters of a lower-case UUID
    head(d) = SHA-256(head(d-1) || sha(d))                      one file for each day from the ledger's first one on
    anew    = SHA-256("sla-1 anew" LF public id LF the break's line LF)     in the place of head(d-1), see Break
    leaf    = SHA-256(0x00 || head(d))                          the heads of all customers of a day, ascending as bytes
    inner   = SHA-256(0x01 || left || right)                    split as RFC 6962 §2.1: at the largest power of two
    root    = the hash of the tree of all leaves; SHA-256("") of no leaf
    signed  = "hpns-sla sla-1" LF day LF size LF root in hex LF by Ed25519 (RFC 8032)
    key id  = the first 16 hex digits of SHA-256(public key)
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from billing.sla.judging import BAD, CANARIES, EXCLUDED, OK, VERSION, Row

HEADER: Final = ",".join(Row._fields)
CORRECTION: Final = "correction: "
SEALED_LATE: Final = f"{CORRECTION}sealed late"
"""The reason of a minute of a day whose own file is missing: it stands in the file that its chain begins anew with."""
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_MINUTE: Final = "%Y-%m-%dT%H:%MZ"
_REASON: Final = re.compile(r"[ -+\--~]{0,250}")  # ASCII that prints, without a comma
FREE_TEXT: Final = re.compile(r"[A-Za-z0-9 .:;()/'_-]{3,200}")
"""What the reason of a correction may read."""


class Break(NamedTuple):
    """A chain that broke and was begun anew: the first day without a head that follows, the head before it in hex (the
    old chain's last good one), the new chain's first day, and when, by whom and why that was decided.

    The new chain's genesis is made of it and of the ledger's public id, so that none of it can be changed or left out.
    """

    broke_on: date
    old_head: str
    begins: date
    decided_at: datetime
    decided_by: str
    reason: str


BREAKS_HEADER: Final = ",".join(Break._fields)


class LedgerError(ValueError):
    """A day file is not in the canonical form; the text names the line."""


def line(row: Row) -> str:
    """The line of a row, without its end."""
    return ",".join((row.minute.astimezone(UTC).strftime(_MINUTE), *map(str, row[1:])))


def parsed(text: str) -> Row:
    """The row of a line. Raises LedgerError for any other form than line() makes."""
    parts = text.split(",")
    if len(parts) != len(Row._fields) or not all(_NUMBER.fullmatch(part) for part in parts[1:8]):
        raise LedgerError(f"no line of a ledger: {text[:100]!r}")
    try:
        minute = datetime.strptime(parts[0], _MINUTE).replace(tzinfo=UTC)
    except ValueError:
        raise LedgerError(f"no minute: {parts[0][:40]!r}") from None
    valid, ours, provider, own, device, le_1s, le_3s = map(int, parts[1:8])
    row = Row(minute, valid, ours, provider, own, device, le_1s, le_3s, *parts[8:])
    if line(row) != text or row.canary not in CANARIES or row.verdict not in (OK, BAD, EXCLUDED):
        raise LedgerError(f"no line of a ledger: {text[:100]!r}")
    if row.failed_ours > valid or not le_1s <= le_3s <= valid or not _REASON.fullmatch(row.reason):
        raise LedgerError(f"figures that cannot be: {text[:100]!r}")
    return row


def day_file(rows: Iterable[Row], corrections: Iterable[Row] = ()) -> bytes:
    """The file of a day: its rows in the order of time, then the corrections filed on it in theirs."""
    lines = [HEADER, *map(line, sorted(rows)), *map(line, corrections)]
    return ("\n".join(lines) + "\n").encode("ascii")


def read_file(day: date, content: bytes) -> tuple[list[Row], list[Row]]:
    """The rows of the day and the corrections of a file. Raises LedgerError where it is not canonical."""
    try:
        lines = content.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise LedgerError("a day file is ASCII") from None
    if lines[0] != HEADER or lines[-1] != "":
        raise LedgerError("a day file begins with its header and ends with a line's end")
    found = [parsed(text) for text in lines[1:-1]]
    own = [row for row in found if row.minute.date() == day]
    later = found[len(own) :]
    if found[: len(own)] != own or own != sorted({row.minute: row for row in own}.values()):
        raise LedgerError("the rows of a day stand once, in order, before its corrections")
    if any(row.minute.date() >= day or not row.reason.startswith(CORRECTION) for row in later):
        raise LedgerError("a correction names a minute of an earlier day and its reason")
    return own, later


def sha(content: bytes) -> bytes:
    """The hash of a day file."""
    return hashlib.sha256(content).digest()


def genesis(public_id: str) -> bytes:
    """The head before the first day."""
    return hashlib.sha256(f"{VERSION}\n{public_id}\n".encode("ascii")).digest()


def break_line(of: Break) -> str:
    """The line of a break in breaks.csv, without its end."""
    decided = of.decided_at.astimezone(UTC).strftime(_MINUTE)
    return ",".join((of.broke_on.isoformat(), of.old_head, of.begins.isoformat(), decided, of.decided_by, of.reason))


def anew(public_id: str, of: Break) -> bytes:
    """The head before the first day of a chain that is begun anew."""
    return hashlib.sha256(f"{VERSION} anew\n{public_id}\n{break_line(of)}\n".encode("ascii")).digest()


def chained(previous: bytes, file_hash: bytes) -> bytes:
    """The head of a day."""
    return hashlib.sha256(previous + file_hash).digest()


def leaf(head: bytes) -> bytes:
    """The leaf of a head."""
    return hashlib.sha256(b"\x00" + head).digest()


def root(heads: Sequence[bytes]) -> bytes:
    """The root of the tree of these heads, in this order: of a day they are sorted."""
    return _root([leaf(head) for head in heads])


def proof(heads: Sequence[bytes], index: int) -> list[bytes]:
    """The inclusion proof of one of the heads: the siblings from its leaf up to the root (RFC 6962 §2.1.1)."""
    return _path([leaf(head) for head in heads], index)


def proofs(heads: Sequence[bytes]) -> list[list[bytes]]:
    """The inclusion proofs of all of the heads, in their order; each inner hash is computed once."""
    found: list[list[bytes]] = [[] for _ in heads]
    _collect([leaf(head) for head in heads], found)
    return found


def proven_root(head: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to; None for one that fits no tree of this size (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, leaf(head)
    for sibling in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = _inner(sibling, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = _inner(found, sibling)
        place, last = place >> 1, last >> 1
    return found if last == 0 else None


def message(day: date, size: int, tree: bytes) -> bytes:
    """What is signed of a day."""
    return f"hpns-sla {VERSION}\n{day.isoformat()}\n{size}\n{tree.hex()}\n".encode("ascii")


def key_id(public_key: bytes) -> str:
    """The id of a public key."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def next_day(day: date) -> date:
    """The day after."""
    return day + timedelta(days=1)


def _inner(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) <= 1:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    half = _split(len(leaves))
    return _inner(_root(leaves[:half]), _root(leaves[half:]))


def _path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    if len(leaves) <= 1:
        return []
    half = _split(len(leaves))
    if index < half:
        return [*_path(leaves[:half], index), _root(leaves[half:])]
    return [*_path(leaves[half:], index - half), _root(leaves[:half])]


def _collect(leaves: Sequence[bytes], into: list[list[bytes]]) -> bytes:
    """The root of these leaves; each one's proof gets the siblings on the way up."""
    if len(leaves) <= 1:
        return _root(leaves)
    half = _split(len(leaves))
    left, right = _collect(leaves[:half], into[:half]), _collect(leaves[half:], into[half:])
    for path in into[:half]:
        path.append(right)
    for path in into[half:]:
        path.append(left)
    return _inner(left, right)
