"""A customer's month of the ledger as files to take away: day files, chain, inclusion proofs, signed roots. Pure.

    statement.json   what the service says of the month: verify_sla.py computes it again
    chain.csv        day, SHA-256 of the day file and head, from the ledger's first day on
    breaks.csv       only where the chain broke and was begun anew: when, from which head, who decided it and why
    proofs.json      of each day file the place of its head in that day's Merkle tree, and the path to the root
    roots.json       the signed roots of these days and the public keys; the same stand in the published hpns-sla.json
    days/DAY.csv     the day files of the month, and later ones with corrections of it, or with days that had no file

Invariant: each digit in them is bound by a hash, a signature or the figures themselves, so that a change of any is
found. What nothing binds, such as when a root was made, is not in them.
"""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final, NamedTuple

from billing.facts import SlaMonth
from billing.sla.judging import VERSION
from billing.sla.ledger import BREAKS_HEADER, Break, break_line

# The archive of the same month is the same bytes.
_STAMP: Final = (1980, 1, 1, 0, 0, 0)
CHAIN_HEADER: Final = "day,sha256,head"


class Link(NamedTuple):
    """A day of a customer's chain."""

    day: date
    sha: str
    head: str


class SealedFile(NamedTuple):
    """A day file with the proof that its head is in the day's tree: place, size, path (hex)."""

    day: date
    content: bytes
    place: int
    size: int
    path: Sequence[str]


class SignedRoot(NamedTuple):
    """The root of a day: number of heads, root, key id and signature in hex."""

    day: date
    size: int
    root: str
    key: str
    signature: str


def statement(
    public_id: str, figures: SlaMonth, sealed_to: date | None, sealed_late: Sequence[date] = ()
) -> dict[str, Any]:
    """What is said of a month, as verify_sla.py computes it, too. `sealed_to`: None before the first sealed day;
    `sealed_late`: the days of the month that stand in the first file of a chain that was begun anew."""
    given = figures._asdict()
    month = given.pop("month")
    told = {name: str(value) if isinstance(value, Decimal) else value for name, value in given.items()}
    head = {"version": VERSION, "customer": public_id, "month": f"{month.year:04d}-{month.month:02d}"}
    late = {"sealed_late": [day.isoformat() for day in sealed_late]} if sealed_late else {}
    return {**head, "sealed_to": sealed_to.isoformat() if sealed_to else None, **late, **told}


def roots_document(roots: Iterable[SignedRoot], keys: Mapping[str, str]) -> dict[str, Any]:
    """The signed roots with the public keys (id: hex) that verify them."""
    return {
        "version": VERSION,
        "keys": [{"key": name, "public": public} for name, public in sorted(keys.items())],
        "roots": [{**root._asdict(), "day": root.day.isoformat()} for root in roots],
    }


def files(
    told: Mapping[str, Any],
    chain: Sequence[Link],
    days: Sequence[SealedFile],
    roots: Sequence[SignedRoot],
    keys: Mapping[str, str],
    breaks: Sequence[Break] = (),
) -> dict[str, bytes]:
    """The files by name; `days` and `roots` are of the same days, ascending, `breaks` those of the chain."""
    broken = [BREAKS_HEADER, *map(break_line, breaks)]
    links = [CHAIN_HEADER, *(f"{link.day.isoformat()},{link.sha},{link.head}" for link in chain)]
    proofs = [{"day": day.day.isoformat(), "index": day.place, "size": day.size, "path": [*day.path]} for day in days]
    used = {root.key: keys[root.key] for root in roots}
    return {
        "statement.json": _json(told),
        "chain.csv": ("\n".join(links) + "\n").encode("ascii"),
        **({"breaks.csv": ("\n".join(broken) + "\n").encode("ascii")} if breaks else {}),
        "proofs.json": _json(proofs),
        "roots.json": _json(roots_document(roots, used)),
        **{f"days/{day.day.isoformat()}.csv": day.content for day in days},
    }


def archive(contents: Mapping[str, bytes]) -> bytes:
    """A zip of these files: the same bytes for the same files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as into:
        for name, content in contents.items():
            into.writestr(zipfile.ZipInfo(name, _STAMP), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode("ascii")
