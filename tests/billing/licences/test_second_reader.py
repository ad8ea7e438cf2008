"""A second reader, in Go as Mattermost itself is, says the same of each licence as ours does; skipped where Go is not.

`bin/test -rs tests/billing/licences` says whether it was.
"""

import base64
import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from billing.licences import file
from billing.licences.file import Issuer, LicenceFileError
from tests.billing.licences import making
from tests.billing.licences.making import content, milliseconds, of_text

PROGRAM = Path(__file__).parent / "second_reader" / "main.go"
GO = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
KEYS = ("id", "SKU_short_name", "sku_\u017fhort_name", "features", "Features", "customer", "limits", "is_trial", "ID")
KEYS += ("expires_at", "EXPIRES_AT", "s\u212au_name", "users", "other")
INNER = ("users", "Users", "mhpns", "MHPNS", "mhpn\u017f", "cloud", "future_features", "company", "push_notifications")


def somewhat(chance: random.Random) -> str:
    """JSON of a licence with fields of any spelling, order, type and number behind it."""
    pieces = []
    for _ in range(chance.randrange(6)):
        name = chance.choice(KEYS)
        inner = ", ".join(
            f"{json.dumps(chance.choice(INNER), ensure_ascii=False)}: {value(chance)}"
            for _ in range(chance.randrange(5))
        )
        given = value(chance) if chance.random() < 0.4 else "{" + inner + "}"
        pieces.append(f"{json.dumps(name, ensure_ascii=chance.random() < 0.5)}: {given}")
    return json.dumps(content())[:-1] + "".join(f", {piece}" for piece in pieces) + "}"


def value(chance: random.Random) -> str:
    """JSON of a value: mostly one that may stand somewhere in a licence."""
    return chance.choice(
        (
            "null",
            "null",
            "true",
            "false",
            "7",
            "0",
            '"E20"',
            '"E10"',
            '"\\ud83d\\ude00"',
            "1.5",
            "[]",
            "-3",
            '"' + "z" * 26 + '"',
        )
    )


def vectors() -> list[bytes]:
    """Files that are good, odd and bad."""
    good = making.made()
    found = [good, making.zero_ended(), making.made(issuer="other"), b"", base64.b64encode(b"x" * 256), b"no base64"]
    found += [good + b"\n", b"\r\n".join(good[at : at + 76] for at in range(0, len(good), 76)), good[:-4], good[4:]]
    for sku in ("E10", "professional", "E20", "enterprise", "advanced", "entry", "platinum", ""):
        found += [making.made(sku_short_name=sku), making.made(sku_short_name=sku, features={"mhpns": False})]
    found += [making.made(features=given) for given in (None, {}, {"future_features": False}, {"mhpns": None})]
    found += [
        making.made(limits={"push_notifications": 10_000}),
        making.made(is_trial=True),
        of_text("{}"),
        of_text(""),
    ]
    found += [making.made(expires_at=milliseconds(making.END) + part) for part in (1, 999)]
    found += [of_text(text) for text in ("[]", "{} {}", "[" * 3000, '{"users":' + "9" * 400 + "}", '{"id": NaN}')]
    flipped = bytearray(base64.b64decode(good))
    flipped[40] ^= 1
    chance = random.Random(20261201)  # noqa: S311
    return [*found, base64.b64encode(flipped), *(of_text(somewhat(chance)) for _ in range(400))]


def ours(data: bytes) -> dict[str, Any]:
    """What our reader says, in the words of the other."""
    try:
        found = file.read(data, [Issuer("first", making.key("first").public_key())])
    except LicenceFileError as error:
        return {"error": str(error)}
    times = {name: round(getattr(found, name).timestamp() * 1000) for name in ("issued_at", "starts_at", "expires_at")}
    names = ("id", "sku", "sku_name", "is_trial", "mhpns", "cloud", "users", "company", "push_limit")
    # No limits, and limits without this one, are both nothing to Go.
    return times | {name: getattr(found, name) for name in names} | {"push_limit": found.push_limit or 0}


def stricter(theirs: dict[str, Any]) -> bool:
    """Whether a licence is one that Go reads and we refuse, for what no server could go by either."""
    return len(theirs["id"]) != 26 or theirs["expires_at"] <= theirs["starts_at"] or theirs["users"] < 0


def test_a_reader_in_go_says_the_same_of_every_licence(tmp_path: Path, record_property: Any) -> None:
    if GO is None:
        pytest.skip(
            "Go is not installed, so that our reader of licences is compared with no other (apt install golang-go)"
        )
    key = tmp_path / "first.pem"
    key.write_bytes(making.public_pem())
    files = vectors()
    given = json.dumps([base64.b64encode(each).decode() for each in files])
    environment = os.environ | {"GO111MODULE": "off", "GOFLAGS": ""}
    command = [GO, "run", str(PROGRAM), str(key)]
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, env=environment, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    read = 0
    for data, theirs in zip(files, json.loads(done.stdout), strict=True):
        mine = ours(data)
        if "error" in theirs or stricter(theirs):
            assert "error" in mine, (theirs, base64.b64decode(data))
        else:
            assert mine == theirs, base64.b64decode(data)[:-256]
            read += 1
    assert read > 100
    record_property("count", f"licences: {len(files)} files read by Go and by us, {read} of them good")
