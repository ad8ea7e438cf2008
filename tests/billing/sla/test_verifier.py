"""The customers' own verifier against the ledger: it agrees on random months and finds each changed digit."""

import json
import random
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from billing.sla import packing
from billing.sla.verifier import verify_sla
from tests.billing.sla.months import Sealed, sealed_month

MONTHS = 200


def verified(files: dict[str, bytes], published: object = None) -> dict[str, object]:
    return verify_sla.verify(files.__getitem__, [*files], published)


def test_it_agrees_with_the_product_on_random_months(record_property: object) -> None:
    credited = set()
    for seed in range(MONTHS):
        dice = random.Random(seed)  # noqa: S311  a test's
        # Nearly all of the verifier's time goes into the days' signatures: a long month only now and then.
        days = 28 if seed % 10 == 0 else dice.choice((1, 2, 3))
        files, figures = sealed_month(dice, days, dice.choice((0, 5, 60)), dice.choice((0, 1, 6)))
        found = verified(files)
        assert found["uptime"] == str(figures.uptime), seed
        assert found["credit_percent"] == figures.credit_percent
        credited.add(figures.credit_percent)
    assert credited == {0, 10, 25, 50}


@pytest.fixture(scope="module")
def small() -> Sealed:
    return sealed_month(random.Random(7), 2, 6, 2)  # noqa: S311  a test's


def test_each_single_flipped_digit_is_found(small: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nearly all of the time goes into signatures, the most of which are the same each time.
    monkeypatch.setattr(verify_sla, "signed_by", cache(verify_sla.signed_by))
    verified(small.files)
    flipped = 0
    for name, content in small.files.items():
        for place, digit in enumerate(content):
            if not chr(digit).isdigit():
                continue
            changed = bytearray(content)
            changed[place] = ord(str((digit - 47) % 10))
            with pytest.raises((verify_sla.Wrong, ValueError, KeyError)):
                verified({**small.files, name: bytes(changed)})
            flipped += 1
    assert flipped > 1_000


def test_what_is_left_out_or_swapped_is_found(small: Sealed) -> None:
    days = sorted(name for name in small.files if name.startswith("days/"))
    for changed in (
        {name: content for name, content in small.files.items() if name != days[0]},
        {**small.files, days[0]: small.files[days[1]], days[1]: small.files[days[0]]},
        {**small.files, days[0]: small.files[days[0]].replace(b"\n", b"\r\n")},
        {**small.files, "chain.csv": b"\n".join(small.files["chain.csv"].split(b"\n")[:-2]) + b"\n"},
    ):
        with pytest.raises((verify_sla.Wrong, KeyError)):
            verified(changed)


def test_published_roots_that_differ_or_lack_a_day_are_found(small: Sealed) -> None:
    roots = json.loads(small.files["roots.json"])
    verified(small.files, roots)
    with pytest.raises(verify_sla.Wrong, match="published roots"):
        verified(small.files, {**roots, "roots": roots["roots"][1:]})
    other = json.loads(sealed_month(random.Random(8), 2, 6, 2).files["roots.json"])  # noqa: S311
    with pytest.raises(verify_sla.Wrong, match="published roots"):
        verified(small.files, other)


def test_its_signatures_are_those_of_another_implementation() -> None:
    dice = random.Random(1)  # noqa: S311  a test's
    for _ in range(20):
        key, text = Ed25519PrivateKey.from_private_bytes(dice.randbytes(32)), dice.randbytes(50)
        public, signature = key.public_key().public_bytes_raw(), key.sign(text)
        assert verify_sla.signed_by(public, text, signature)
        assert not verify_sla.signed_by(public, text + b"x", signature)
        assert not verify_sla.signed_by(public, text, signature[:-1] + bytes([signature[-1] ^ 1]))
        s = int.from_bytes(signature[32:], "little") + verify_sla.Q
        assert not verify_sla.signed_by(public, text, signature[:32] + s.to_bytes(32, "little"))
    # RFC 8032 §7.1, test 2.
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert verify_sla.signed_by(public, b"\x72", signature)


@pytest.mark.parametrize("packed", [True, False])
def test_it_runs_alone_on_a_zip_and_on_a_folder(small: Sealed, tmp_path: Path, packed: bool) -> None:
    month = tmp_path / "month.zip" if packed else tmp_path
    (tmp_path / "month.zip").write_bytes(packing.archive(small.files))
    (tmp_path / "days").mkdir()
    for name, content in small.files.items():
        (tmp_path / name).write_bytes(content)
    # Isolated: without our packages and without site-packages.
    command = [sys.executable, "-I", "-S", verify_sla.__file__, str(month), "--price", "49900"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "VERIFIED" in done.stdout
    assert f'"credit_minor": {499 * small.figures.credit_percent}' in done.stdout
    (tmp_path / "chain.csv").write_text("x")
    (tmp_path / "month.zip").write_text("x")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "NOT VERIFIED" in done.stderr
