#!/usr/bin/env python3
"""Verifies a month of the SLA ledger "sla-1" of a hosted push notification service, and recomputes uptime and credit.

    python3 verify_sla.py MONTH.zip                          # as downloaded, or the folder that it was unpacked to
    python3 verify_sla.py MONTH.zip --roots hpns-sla.json    # held against the roots that the service publishes
    python3 verify_sla.py MONTH.zip --earlier OLDER.zip      # held against a month that was downloaded before
    python3 verify_sla.py MONTH.zip --price 49900            # the credit on a month's fee of 499.00

It needs Python 3.10 and nothing else: no package, no network, nothing of the service. What it checks:

1. each day file is in its canonical form, and each verdict in it follows from its figures by the rules of sla-1;
2. SHA-256 of each file is in the chain, which is unbroken from the ledger's first day and begins with the public id.
   A chain that broke goes on only from a new beginning whose hash names the break (when, from which head, who decided
   it and why): then the days between are in its first file, and the report says so. With --earlier, that it continues
   the chain of older files: nobody can begin one anew in silence;
3. the head of each day is a leaf of that day's Merkle tree (RFC 6962), whose root is signed (Ed25519, RFC 8032);
4. uptime, latency shares and credit, recomputed out of the files, are those of the statement.

Exit code 0: all of it holds; 1: something does not, and the line says what.
"""

import argparse
import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

Point = tuple[int, int, int, int]
Row = tuple[str, int, int, int, int, str, str]

HEADER = "minute,valid,failed_ours,failed_provider,failed_customer,failed_device,le_1s,le_3s,canary,verdict,reason"
MINUTE = re.compile(r"[0-9]{4}(-[0-9]{2}){2}T([01][0-9]|2[0-3]):[0-5][0-9]Z")
FIGURES = (
    *("valid", "failed_ours", "minutes", "bad_minutes", "excluded_minutes"),
    *("by_time", "by_requests", "uptime", "within_1s", "within_3s", "credit_percent"),
)
NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
HEX64 = re.compile(r"[0-9a-f]{64}")
CREDITS = ((95_000, 50), (99_000, 25), (99_900, 10))  # thousandths of a percent, percent
PACKED_MAX = 64 * 1024 * 1024
BREAKS = "broke_on,old_head,begins,decided_at,decided_by,reason"
BREAK = re.compile(r"[0-9-]{10},[0-9a-f]{64},[0-9-]{10},[0-9TZ:-]{17},[ -+\--~]+,[ -+\--~]+")
UNPUBLISHED = "; hold it against the published roots with --roots"


class Wrong(Exception):
    """Something does not hold; the text says what."""


def require(holds: object, what: str) -> None:
    """Raise Wrong unless it holds."""
    if not holds:
        raise Wrong(what)


# Ed25519, verification only (RFC 8032 §5.1.7), in extended coordinates.
P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def _add(a: Point, b: Point) -> Point:
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    return (f - e) * (h - g) % P, (h + g) * (f + e) % P, (h - g) * (h + g) % P, (f - e) * (f + e) % P


def _times(scalar: int, point: Point) -> Point:
    found = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            found = _add(found, point)
        point = _add(point, point)
        scalar >>= 1
    return found


def _point(encoded: bytes) -> Point | None:
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE_X, BASE_Y = 15112221349535400772501151409588531511454012693041857206046113283949847762202, 4 * pow(5, -1, P) % P
GENERATOR = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def signed_by(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether it is the signature of this public key (32 bytes) under the message."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key, commitment = _point(public), _point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= Q:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    left, right = _times(scalar, GENERATOR), _add(commitment, _times(int.from_bytes(digest, "little") % Q, key))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


def proven_root(head: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to (RFC 9162 §2.1.3.2), None for one that fits no tree of this size."""
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, hashlib.sha256(b"\x00" + head).digest()
    for sibling in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = hashlib.sha256(b"\x01" + sibling + found).digest()
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + sibling).digest()
        place, last = place >> 1, last >> 1
    return found if last == 0 else None


def rows_of(day: str, content: bytes) -> tuple[list[Row], list[Row]]:
    """The rows and the corrections of a day file: (minute, valid, failed, within 1 s, within 3 s, verdict, reason)."""
    where = f"days/{day}.csv"
    lines = content.decode("ascii").split("\n")
    require(lines[0] == HEADER and lines[-1] == "" and len(lines) > 1, where + " is not in the canonical form")
    own: list[Row] = []
    corrections: list[Row] = []
    for text in lines[1:-1]:
        row = _row(where, text)
        if row[0][:10] == day:
            require(not corrections and (not own or own[-1][0] < row[0]), f"{where} is not in order: {text}")
            require(row[1] or row[5] != "ok", f"{where} has a line of an idle good minute: {text}")
            own.append(row)
        else:
            require(row[0][:10] < day and row[6].startswith("correction: "), f"{where} has a foreign line: {text}")
            corrections.append(row)
    return own, corrections


def _row(where: str, text: str) -> Row:
    parts = text.split(",")
    require(len(parts) == 11 and all(NUMBER.fullmatch(part) for part in parts[1:8]), f"{where}: {text}")
    require(MINUTE.fullmatch(parts[0]), f"{where} has no minute in: {text}")
    valid, failed, _, _, _, le_1s, le_3s = map(int, parts[1:8])
    canary, verdict, reason = parts[8:]
    require(failed <= valid and le_1s <= le_3s <= valid, f"{where} has figures that cannot be: {text}")
    require(verdict in _verdicts(valid, failed, canary, reason), f"{where}: the verdict does not follow: {text}")
    return parts[0], valid, failed, le_1s, le_3s, verdict, reason


def _verdicts(valid: int, failed: int, canary: str, reason: str) -> tuple[str, ...]:
    """The verdicts that figures and reason allow."""
    failures = failed * 20 > valid if valid >= 20 else failed >= 2 and failed * 2 >= valid
    bad = failures or canary == "bad"
    if canary not in ("good", "bad", "missing", "off"):
        return ()
    if reason.startswith("correction: "):
        return ("bad", "excluded") if bad else ("ok", "bad", "excluded") if canary == "missing" else ("ok", "excluded")
    if reason == "maintenance":
        return ("excluded",)
    why = "failures" if failures else "canary" if canary == "bad" else reason
    if why != reason or (reason == "no_push" and canary != "missing"):
        return ()
    return ("bad",) if reason in ("failures", "canary", "no_push") else ("ok",) if reason == "" else ()


def share(part: int, whole: int) -> int | None:
    """A share in thousandths of a percent, cut."""
    return part * 100_000 // whole if whole > 0 else None


def spelled(cut: int | None) -> str | None:
    """Thousandths of a percent as the statement has them."""
    return None if cut is None else f"{cut // 1000}.{cut % 1000:03d}"


def figures_of(rows: list[Row], minutes: int) -> dict[str, Any]:
    """The figures of a month, as its statement has them."""
    valid, failed = sum(row[1] for row in rows), sum(row[2] for row in rows)
    le_1s, le_3s = sum(row[3] for row in rows), sum(row[4] for row in rows)
    bad, excluded = (sum(row[5] == word for row in rows) for word in ("bad", "excluded"))
    counted = minutes - excluded
    by_time = 100_000 if counted <= 0 else (counted - bad) * 100_000 // counted
    by_requests = share(valid - failed, valid) if valid >= 1_000 else None
    uptime = by_time if by_requests is None else min(by_time, by_requests)
    credit = next((percent for below, percent in CREDITS if uptime < below), 0)
    shares = map(spelled, (by_time, by_requests, uptime, share(le_1s, valid), share(le_3s, valid)))
    return dict(zip(FIGURES, (valid, failed, minutes, bad, excluded, *shares, credit), strict=True))


def breaks_of(content: bytes) -> list[str]:
    """The lines of breaks.csv. Raises Wrong for one that cannot be read, or a break that takes no day."""
    lines = content.decode("ascii").split("\n")
    require(lines[0] == BREAKS and lines[-1] == "" and len(lines) > 2, "breaks.csv cannot be read")
    for line in lines[1:-1]:
        require(BREAK.fullmatch(line) and line[:10] < line[76:86], f"breaks.csv cannot be read: {line}")
    return lines[1:-1]


def chain_of(content: bytes, public_id: str, breaks: list[str]) -> tuple[dict[str, tuple[str, bytes]], dict[str, str]]:
    """{day: (sha, head)} of chain.csv, recomputed from the public id on, and {day: the file that it is in} of the days
    of breaks. Raises Wrong for a chain that is broken where no line of breaks.csv says so."""
    require(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", public_id), "the statement has no public id")
    lines = content.decode("ascii").split("\n")
    require(lines[0] == "day,sha256,head" and lines[-1] == "" and len(lines) > 2, "chain.csv cannot be read")
    head, expected, found = hashlib.sha256((f"sla-1\n{public_id}\n").encode()).digest(), "", {}
    coming, between, late = [*breaks], [], {}
    for text in lines[1:-1]:
        day, sha, told = [*text.split(","), "", ""][:3]
        require(text.count(",") == 2 and HEX64.fullmatch(sha), f"chain.csv cannot be read: {text}")
        while coming and coming[0][76:86] <= day:
            broke_on, old_head, begins = (line := coming.pop(0)).split(",")[:3]
            holds = expected in ("", broke_on) and old_head == head.hex()
            require(holds, f"the break of {broke_on} does not follow from the chain before it")
            head, expected = hashlib.sha256(f"sla-1 anew\n{public_id}\n{line}\n".encode()).digest(), begins
            between += days_from(broke_on, begins)
        late.update(dict.fromkeys(between, day))
        between = []
        require(expected in ("", day), f"the chain is broken in silence: {day} follows where {expected} should")
        expected = next_day(day)
        head = hashlib.sha256(head + bytes.fromhex(sha)).digest()
        require(head.hex() == told, f"the chain is broken on {day}: the head does not follow")
        found[day] = sha, head
    require(not coming, f"breaks.csv names a break that the chain does not have: {coming}")
    return found, late


def next_day(day: str) -> str:
    """The day after a day."""
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def days_from(day: str, end: str) -> list[str]:
    """The days from a day to before another."""
    found = []
    while day < end:
        found.append(day)
        day = next_day(day)
    return found


def check_roots(document: Any) -> dict[str, tuple[int, str]]:
    """{day: (size, root)} of signed roots. Raises Wrong for a signature that does not hold."""
    require(document.get("version") == "sla-1", "roots of another version")
    keys = {}
    for one in document["keys"]:
        public = bytes.fromhex(one["public"])
        name = one["key"]
        require(hashlib.sha256(public).hexdigest()[:16] == name, f"the key id {name} is another key's")
        keys[name] = public
    found = {}
    for one in document["roots"]:
        day, size, root = one["day"], one["size"], one["root"]
        require(one["key"] in keys and day not in found, f"the root of {day} has no key, or stands twice")
        signed = f"hpns-sla sla-1\n{day}\n{size}\n{root}\n".encode()
        holds = signed_by(keys[one["key"]], signed, bytes.fromhex(one["signature"]))
        require(holds, f"the signature under the root of {day} does not hold")
        found[day] = size, root
    return found


def verify(read: Callable[[str], bytes], names: list[str], published: Any = None) -> dict[str, Any]:
    """Check a month: `read` gives the bytes of a file by its name, `names` are those there are. The statement."""
    statement = json.loads(read("statement.json"))
    chain, between = chain_of(read("chain.csv"), statement["customer"], named_breaks(read, names))
    roots, proofs = check_roots(json.loads(read("roots.json"))), json.loads(read("proofs.json"))
    days = sorted(name[5:-4] for name in names if re.fullmatch(r"days/.{10}\.csv", name))
    require(sorted(roots) == days == [one["day"] for one in proofs], "files, proofs and roots are of different days")
    own, corrections = [], []
    for day, proof in zip(days, proofs, strict=True):
        content = read(f"days/{day}.csv")
        require(day in chain, f"{day} is not in the chain")
        sha, head = chain[day]
        require(hashlib.sha256(content).hexdigest() == sha, f"days/{day}.csv is not the file that was sealed")
        size, root = roots[day]
        found = proven_root(head, proof["index"], proof["size"], [bytes.fromhex(each) for each in proof["path"]])
        holds = proof["size"] == size and found is not None and found.hex() == root
        require(holds, f"the head of {day} is not in that day's tree")
        rows, later = rows_of(day, content)
        own += rows
        corrections += later
    month = statement["month"]
    covered, late = ([day for day in found if day[:7] == month] for found in (days, between))
    require(covered + late and covered == [day for day in chain if day[:7] == month], "days of the month are missing")
    require({between[day] for day in late} <= {*days}, "the file with the days of a break is missing")
    effective = {row[0]: row for row in own + corrections if row[0][:7] == month}
    require({minute[:10] for minute in effective} <= {*covered, *late}, "a row is of a day that is not in the ledger")
    require(sum(row[6] == "maintenance" for row in effective.values()) <= 240, "more than 240 minutes are excluded")
    told = {"version": "sla-1", "customer": statement["customer"], "month": month, "sealed_to": max(chain)}
    told |= {"sealed_late": late} if late else {}
    computed = {**told, **figures_of(list(effective.values()), 1440 * len(covered + late))}
    for name in sorted({*computed, *statement}):
        same = name in computed and name in statement and computed[name] == statement[name]
        require(same, f"the statement's {name} is {statement.get(name)}, and {computed.get(name)} by the files")
    if published is not None:
        known = check_roots(published)
        differ = [day for day in days if known.get(day) != roots[day]]
        require(not differ, f"the published roots are not those of the files: {', '.join(differ)}")
    return computed


def named_breaks(read: Callable[[str], bytes], names: list[str]) -> list[str]:
    """The breaks that the files name, each as its line."""
    return breaks_of(read("breaks.csv")) if "breaks.csv" in names else []


def continues(read: Callable[[str], bytes], names: list[str], before: Callable[[str], bytes], had: list[str]) -> None:
    """Raise Wrong unless the chain of the files goes on from that of files that were downloaded `before`."""
    public_id = json.loads(read("statement.json"))["customer"]
    require(json.loads(before("statement.json"))["customer"] == public_id, "the earlier files are of another ledger")
    chain, between = chain_of(read("chain.csv"), public_id, named_breaks(read, names))
    earlier, _ = chain_of(before("chain.csv"), public_id, named_breaks(before, had))
    differ = [day for day in earlier if chain.get(day) != earlier[day] and day not in between]
    require(not differ and min(chain) <= min(earlier), f"the chain is not the one of the earlier files: {differ[:3]}")


def told_of(line: str) -> str:
    """What the report says of a break."""
    broke_on, head, begins, at, who, why = line.split(",")
    return (
        f"A BREAK IS NAMED: the chain broke on {broke_on}, after the head {head}, and begins anew on {begins}. Decided "
        f"{at} by {who}: {why}. The days between were sealed late, in one file.\n"
    )


def opened(path: Path) -> tuple[Callable[[str], bytes], list[str]]:
    """How to read the files of a zip or a folder by name, and their names."""
    if path.is_dir():
        return lambda name: (path / name).read_bytes(), [str(each.relative_to(path)) for each in path.rglob("*")]
    packed = zipfile.ZipFile(path)
    require(sum(each.file_size for each in packed.infolist()) <= PACKED_MAX, "the archive is too large")
    return packed.read, packed.namelist()


def main(arguments: list[str] | None = None) -> None:
    """Verify what the command line names. Exits with 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("month", type=Path, help="the zip of a month, or the folder that it was unpacked to")
    parser.add_argument("--roots", type=Path, help="the published hpns-sla.json, fetched by yourself")
    parser.add_argument("--earlier", type=Path, help="a month that you downloaded before: is its chain continued?")
    parser.add_argument("--price", type=int, help="a month's fee in minor units (cents), to compute the credit on it")
    asked = parser.parse_args(arguments)
    try:
        published = json.loads(asked.roots.read_bytes()) if asked.roots else None
        files = opened(asked.month)
        found, breaks = verify(*files, published), named_breaks(*files)
        if asked.earlier:
            continues(*files, *opened(asked.earlier))
    except (Wrong, OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        sys.exit(f"NOT VERIFIED: {error if isinstance(error, Wrong) else f'unreadable files: {error!r}'}")
    if asked.price is not None:
        found["credit_minor"] = -(-asked.price * found["credit_percent"] // 100)
    sys.stdout.writelines(map(told_of, breaks))
    sys.stdout.write(f"{json.dumps(found, indent=2)}\nVERIFIED{'' if asked.roots else UNPUBLISHED}\n")


if __name__ == "__main__":
    main()
