"""Writes backups of the first format, which the product only reads any more."""

import json
from collections.abc import Iterator
from pathlib import Path

from hpns.backup.first_format import CHUNK_BYTES, FORMAT, FirstSeal, nonce

CLEAR = {"format": FORMAT, "made_at": "2026-06-01T00:00:00+00:00", "version": "0.1.0"}
CHEAP = {"log_n": 10, "r": 8, "p": 1}


def clear(**changes: object) -> dict[str, object]:
    """What stands in backup.json."""
    return {**CLEAR, "salt": (b"s" * 16).hex(), "scrypt": CHEAP, **changes}


def sealed(passphrase: str, part: str, data: bytes, described: dict[str, object] | None = None) -> bytes:
    """The file of a part."""
    seal = FirstSeal(passphrase, described or clear())
    cipher = seal.cipher(f"{part}.sealed")

    def pieces() -> Iterator[bytes]:
        starts = range(0, max(1, len(data)), CHUNK_BYTES)
        for number, start in enumerate(starts):
            last = number == len(starts) - 1
            yield cipher.encrypt(nonce(number, last=last), data[start : start + CHUNK_BYTES], None)

    return b"".join(pieces())


def write(folder: Path, passphrase: str, parts: dict[str, bytes]) -> None:
    """A whole backup in a folder that is yet to be made."""
    folder.mkdir()
    for part, data in parts.items():
        (folder / f"{part}.sealed").write_bytes(sealed(passphrase, part, data))
    (folder / "backup.json").write_text(json.dumps(clear()))
