"""Judges one push's signature by the public keys that are known. Pure."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from tenants.proofs import recovery, signatures
from tenants.proofs.signatures import DIGEST_LENGTH, Signed

VERIFIED, OTHER, WAITING, RECOVERED = "verified", "other", "waiting", "recovered"
# Pushes of one server_id, after the first, from which a key is sought in vain before it is left alone.
TRIES_MAX: Final = 5


class Known(NamedTuple):
    """Public keys by which pushes with this server_id may be signed: proven before (`own`), and of the site's documents
    (`site`, "" for none); and those that the same server has proven under other server_ids (`others`)."""

    own: tuple[str, ...] = ()
    site: str = ""
    others: tuple[str, ...] = ()


class Judged(NamedTuple):
    """What came of it: VERIFIED with `key`; RECOVERED, for the first time, with `key`; OTHER: signed with another key
    than those that are known; WAITING: nothing is known yet, and one more push is needed. `tried`: a key was sought."""

    result: str
    key: str = ""
    is_site: bool = False
    is_other_id: bool = False
    tried: bool = False


def judge(signed: Signed, known: Known, waiting: Signed | None = None, tries: int = 0) -> Judged:
    """Judge a signature. `waiting`: of an earlier push that no known key has verified; `tries`: how often in vain."""
    for key in known.own:
        if signatures.verify(key, signed):
            return Judged(VERIFIED, key, is_site=key == known.site)
    if known.site and signatures.verify(known.site, signed):
        return Judged(VERIFIED, known.site, is_site=True)
    for key in known.others:
        if signatures.verify(key, signed):
            return Judged(VERIFIED, key, is_other_id=True)
    if known.own or known.site or known.others:
        return Judged(OTHER)
    # The same push again says nothing new.
    if waiting is None or waiting.digest == signed.digest or tries >= TRIES_MAX:
        return Judged(WAITING)
    found = recovery.common(waiting, signed)
    return Judged(RECOVERED, found, tried=True) if found else Judged(WAITING, tried=True)


def packed(signed: Signed) -> bytes:
    """A signature with its digest, as a row keeps it."""
    return signed.digest + signed.signature


def unpacked(data: bytes | memoryview | None) -> Signed | None:
    """What packed() made; None for nothing."""
    if data is None:
        return None
    found = bytes(data)
    return Signed(found[:DIGEST_LENGTH], found[DIGEST_LENGTH:])


def unique(keys: Iterable[str]) -> tuple[str, ...]:
    """Keys in their order, each once, without empty ones."""
    return tuple(dict.fromkeys(filter(None, keys)))
