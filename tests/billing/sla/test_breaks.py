"""A broken chain that was begun anew, before the customers' verifier: it is accepted with its break named alone."""

import random
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from billing.sla import ledger, packing
from billing.sla.verifier import verify_sla
from tests.billing.sla.months import Sealed, sealed_month

MONTHS = 60


def verified(files: dict[str, bytes]) -> dict[str, object]:
    return verify_sla.verify(files.__getitem__, [*files])


def test_random_months_with_random_breaks_verify_and_their_figures_are_those_of_all_their_days() -> None:
    late_months = several = 0
    for seed in range(MONTHS):
        dice = random.Random(seed)  # noqa: S311  a test's
        files, figures = sealed_month(
            dice, dice.choice((1, 2, 4, 6)), dice.choice((0, 5, 40)), dice.choice((0, 3)), broken=True
        )
        found = verified(files)
        assert (found["uptime"], found["minutes"]) == (str(figures.uptime), figures.minutes), seed
        late_months += "sealed_late" in found
        several += len(verify_sla.named_breaks(files.__getitem__, [*files])) > 1
    assert late_months > MONTHS // 2
    assert several > 3


@pytest.fixture(scope="module")
def mended() -> Sealed:
    return sealed_month(random.Random(3), 2, 4, 1, broken=True)  # noqa: S311  a test's


def test_each_single_flipped_digit_is_found_in_the_break_and_on_both_sides_of_it(
    mended: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_sla, "signed_by", cache(verify_sla.signed_by))
    verified(mended.files)
    assert mended.files["breaks.csv"].count(b"\n") > 1
    flipped = 0
    for name, content in mended.files.items():
        for place, digit in enumerate(content):
            if not chr(digit).isdigit():
                continue
            changed = bytearray(content)
            changed[place] = ord(str((digit - 47) % 10))
            with pytest.raises((verify_sla.Wrong, ValueError, KeyError)):
                verified({**mended.files, name: bytes(changed)})
            flipped += 1
    assert flipped > 1_000


def test_each_changed_letter_of_the_break_is_found(mended: Sealed) -> None:
    content = mended.files["breaks.csv"]
    for place in range(content.index(b"\n") + 1, len(content) - 1):
        changed = bytearray(content)
        changed[place] = ord("x") if content[place] != ord("x") else ord("y")
        with pytest.raises((verify_sla.Wrong, ValueError)):
            verified({**mended.files, "breaks.csv": bytes(changed)})


def test_a_chain_that_is_begun_anew_in_silence_is_refused(mended: Sealed) -> None:
    silent = {name: content for name, content in mended.files.items() if name != "breaks.csv"}
    with pytest.raises(verify_sla.Wrong, match="broken"):
        verified(silent)
    # Nor is a break believed that the chain does not have.
    whole = sealed_month(random.Random(4), 4, 5, 2)  # noqa: S311  a test's
    with pytest.raises(verify_sla.Wrong, match="break"):
        verified({**whole.files, "breaks.csv": mended.files["breaks.csv"]})


def test_the_days_of_a_break_cannot_be_left_out(mended: Sealed) -> None:
    begins = mended.files["breaks.csv"].split(b"\n")[1][76:86].decode()
    left = {name: content for name, content in mended.files.items() if begins not in name}
    with pytest.raises((verify_sla.Wrong, KeyError)):
        verified(left)


def chain(public_id: str, files: list[str], first: int = 1) -> bytes:
    """chain.csv of days with these files, from the public id on."""
    head, lines = ledger.genesis(public_id), [packing.CHAIN_HEADER]
    for number, text in enumerate(files, first):
        sha = ledger.sha(text.encode())
        head = ledger.chained(head, sha)
        lines.append(f"2026-01-{number:02d},{sha.hex()},{head.hex()}")
    return ("\n".join(lines) + "\n").encode()


@pytest.mark.parametrize(
    ("now", "good"),
    [(["a", "b", "c"], True), (["a", "b"], True), (["a", "x", "c"], False), (["a"], False)],
)
def test_files_that_were_downloaded_before_show_whether_the_chain_goes_on(now: list[str], good: bool) -> None:
    public_id = "0" * 8 + "-0000" * 3 + "-" + "0" * 12
    statement = f'{{"customer": "{public_id}"}}'.encode()
    old = {"statement.json": statement, "chain.csv": chain(public_id, ["a", "b"])}
    new = {"statement.json": statement, "chain.csv": chain(public_id, now)}
    arguments = new.__getitem__, [*new], old.__getitem__, [*old]
    if good:
        verify_sla.continues(*arguments)
    else:
        with pytest.raises(verify_sla.Wrong, match="earlier files"):
            verify_sla.continues(*arguments)


def test_a_chain_that_begins_later_than_it_did_before_is_found() -> None:
    public_id = "0" * 8 + "-0000" * 3 + "-" + "0" * 12
    statement = f'{{"customer": "{public_id}"}}'.encode()
    old = {"statement.json": statement, "chain.csv": chain(public_id, ["a", "b"])}
    new = {"statement.json": statement, "chain.csv": chain(public_id, ["c"], first=3)}
    with pytest.raises(verify_sla.Wrong, match="earlier files"):
        verify_sla.continues(new.__getitem__, [*new], old.__getitem__, [*old])


def test_its_report_names_the_break(mended: Sealed, tmp_path: Path) -> None:
    (tmp_path / "month.zip").write_bytes(packing.archive(mended.files))
    command = [sys.executable, "-I", "-S", verify_sla.__file__, "month.zip", "--earlier", "month.zip"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    broke_on, head, begins = mended.files["breaks.csv"].decode().split("\n")[1].split(",")[:3]
    said = f"A BREAK IS NAMED: the chain broke on {broke_on}, after the head {head}, and begins anew on {begins}. "
    assert said in done.stdout
    assert "by ops@hpns.example: a minute was unreadable." in done.stdout
    assert "\nVERIFIED" in done.stdout
