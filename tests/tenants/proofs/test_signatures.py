"""Signatures of pushes: read against the push, verified by a digest, the key recovered out of two.

The truth are real ones, which a Mattermost server sent.
"""

import base64
import hashlib
import hmac
import itertools
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from hpns.local.mattermost_site import Installation
from tenants.proofs import judging, recovery, signatures
from tenants.proofs.judging import Known
from tenants.proofs.signatures import BadKey, BadSignature, Signed, Unsigned

VECTORS = Path(__file__).parents[2] / "vectors" / "mattermost_server.jsonl.xz"
KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEP07SsxQoRw7TqWI0/CkRneFYPVy8egVSVewS91Y+haS2563TpMVWZrCgI8IhFv7y23HKU1a/"
    "Hd1XTo/oIGXG7w=="
)
DEVICE = "ab" * 32


def real_pushes() -> list[dict[str, Any]]:
    with lzma.open(VECTORS, "rt", encoding="utf-8") as lines:
        bodies = [json.loads(json.loads(line)["body"]) for line in lines]
    return [body for body in bodies if isinstance(body, dict) and "device_id" in body]


def read(push: dict[str, Any]) -> Signed:
    return signatures.read(push["signature"], push["ack_id"], push["device_id"])


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_every_signature_of_a_real_server_verifies_with_its_key_and_with_no_other() -> None:
    signed = [read(push) for push in real_pushes() if push["signature"]]
    assert len(signed) > 40
    assert all(signatures.verify(KEY, each) for each in signed)
    assert not any(signatures.verify(Installation().public_key, each) for each in signed)


def test_what_a_real_server_does_not_sign_is_unsigned() -> None:
    unsigned = [push for push in real_pushes() if not push["signature"]]
    assert {push["type"] for push in unsigned} == {"test", "session"}
    for push in unsigned:
        with pytest.raises(Unsigned):
            read({"ack_id": "", **push})


def test_a_real_servers_key_is_recovered_from_any_two_of_its_pushes() -> None:
    signed = [read(push) for push in real_pushes() if push["signature"]]
    for one, other in itertools.pairwise(signed[:7]):
        assert recovery.common(one, other) == KEY
    assert KEY in recovery.candidates(signed[0])
    assert len(recovery.candidates(signed[0])) == 2


def test_pushes_of_two_installations_have_no_key_in_common() -> None:
    one, other = (read(Installation().signed({"device_id": DEVICE})) for _ in range(2))
    assert recovery.common(one, other) is None


def test_the_same_push_twice_tells_no_key() -> None:
    one = read(Installation().signed({"device_id": DEVICE}))
    assert recovery.common(one, one) is None


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0), (recovery.N, 1), (1, recovery.N), (5, 5), (2**256 - 1, 7)])
def test_numbers_that_are_no_signature_have_no_candidate_or_none_that_verifies(numbers: tuple[int, int]) -> None:
    signed = Signed(b"\1" * 32, b"".join(number.to_bytes(32, "big") for number in numbers))
    assert all(signatures.verify(key, signed) for key in recovery.candidates(signed))
    assert not signatures.verify(KEY, signed)


def test_the_middle_of_the_curve_is_found_by_our_arithmetic_as_by_the_library() -> None:
    for _ in range(3):
        installation = Installation()
        one, other = (read(installation.signed({"device_id": DEVICE})) for _ in range(2))
        assert recovery.common(one, other) == installation.public_key


def forged(header: dict[str, Any], claims: dict[str, Any], numbers: bytes | None = None) -> str:
    text = f"{encoded(header)}.{encoded(claims)}"
    if numbers is None:  # HS256 with what everybody can read as the secret
        numbers = hmac.digest(KEY.encode(), text.encode(), hashlib.sha256)
    return f"{text}.{base64.urlsafe_b64encode(numbers).rstrip(b'=').decode()}"


CLAIMS = {"ack_id": "a", "device_id": DEVICE}


@pytest.mark.parametrize(
    ("signature", "why"),
    [
        (forged({"alg": "none"}, CLAIMS, b""), "algorithm"),
        (forged({"alg": "none"}, CLAIMS, b"\1" * 64), "algorithm"),
        (forged({"alg": "HS256"}, CLAIMS), "algorithm"),
        (forged({"alg": "HS512"}, CLAIMS, b"\1" * 64), "algorithm"),
        (forged({"alg": ["ES256"]}, CLAIMS, b"\1" * 64), "algorithm"),
        (forged({"alg": "ES256", "crit": ["b64"]}, CLAIMS, b"\1" * 64), "algorithm"),
        (forged({"alg": "ES256"}, CLAIMS, b"\1" * 63), "algorithm"),
        (forged({}, CLAIMS, b"\1" * 64), "algorithm"),
        (forged({"alg": "ES256"}, {**CLAIMS, "ack_id": "b"}, b"\1" * 64), "other_push"),
        (forged({"alg": "ES256"}, {**CLAIMS, "device_id": "b"}, b"\1" * 64), "other_push"),
        (forged({"alg": "ES256"}, {"ack_id": "a"}, b"\1" * 64), "other_push"),
        (forged({"alg": "ES256"}, {"ack_id": "a", "device_id": None}, b"\1" * 64), "other_push"),
        ("x", "malformed"),
        ("a.b", "malformed"),
        ("a.b.c.d", "malformed"),
        ("...", "malformed"),
        ("é.é.é", "malformed"),
        (f"{encoded([])}.{encoded(CLAIMS)}.{'A' * 86}", "malformed"),
        (f"{encoded({'alg': 'ES256'})}.{encoded(CLAIMS)}.{'A' * 10_000}", "malformed"),
        (base64.urlsafe_b64encode(b"[" * 2_000).decode() + ".e30.AA", "malformed"),
    ],
)
def test_a_forged_signature_is_none_of_this_push(signature: str, why: str) -> None:
    with pytest.raises(BadSignature, match=why):
        signatures.read(signature, "a", DEVICE)


@pytest.mark.parametrize("signature", ["", "NO_SIGNATURE"])
def test_no_signature_is_told_from_a_bad_one(signature: str) -> None:
    with pytest.raises(Unsigned):
        signatures.read(signature, "a", DEVICE)


@pytest.mark.parametrize("changed", ["ack_id", "device_id"])
def test_a_signature_on_another_push_is_refused(changed: str) -> None:
    push = Installation().signed({"device_id": DEVICE})
    with pytest.raises(BadSignature, match="other_push"):
        read({**push, changed: "another"})


def test_nothing_of_the_token_is_in_what_is_handed_on() -> None:
    push = Installation().signed({"device_id": DEVICE})
    signed = read(push)
    assert len(signed.digest) == 32
    assert len(signed.signature) == 64
    assert DEVICE.encode() not in signed.digest + signed.signature


@pytest.mark.parametrize("text", ["", "x", "AAAA", "A" * 2_000, base64.b64encode(b"0" * 91).decode()])
def test_what_is_no_public_key_is_said_to_be_none(text: str) -> None:
    with pytest.raises(BadKey):
        signatures.public_key(text)


# --- Judging


def pushes(installation: Installation, count: int) -> list[Signed]:
    return [read(installation.signed({"device_id": DEVICE})) for _ in range(count)]


def test_a_push_is_judged_by_what_is_known() -> None:
    mine, other = Installation(), Installation()
    (signed,), (foreign,) = pushes(mine, 1), pushes(other, 1)
    assert judging.judge(signed, Known(own=(mine.public_key,))).result == judging.VERIFIED
    assert judging.judge(signed, Known(site=mine.public_key)).is_site
    assert judging.judge(signed, Known(others=(mine.public_key,))).is_other_id
    for known in (Known(own=(mine.public_key,)), Known(site=mine.public_key), Known(others=(mine.public_key,))):
        assert judging.judge(foreign, known).result == judging.OTHER


def test_of_an_unknown_server_the_second_push_tells_the_key() -> None:
    mine = Installation()
    first, second = pushes(mine, 2)
    assert judging.judge(first, Known()) == judging.Judged(judging.WAITING)
    found = judging.judge(second, Known(), waiting=first)
    assert (found.result, found.key) == (judging.RECOVERED, mine.public_key)
    assert judging.judge(first, Known(), waiting=first).result == judging.WAITING


def test_who_signs_each_push_with_another_key_does_not_keep_us_computing() -> None:
    one, other = pushes(Installation(), 1)[0], pushes(Installation(), 1)[0]
    assert judging.judge(other, Known(), waiting=one).tried
    assert not judging.judge(other, Known(), waiting=one, tries=judging.TRIES_MAX).tried


def test_what_a_row_keeps_is_read_back() -> None:
    (signed,) = pushes(Installation(), 1)
    assert judging.unpacked(memoryview(judging.packed(signed))) == signed
    assert judging.unpacked(None) is None
