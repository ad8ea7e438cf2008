"""Other services in bin/bench: how they are started, how each is held against its marks, and what nobody waits for."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from hpns.local.problem import ProblemError
from tests.bench import cases, checkout, figures, many, marks, window
from tests.bench.other import Other
from tests.bench.provider import Provider
from tests.hpns.test_bench import made

LAUNCHER = """
import json, os, signal
def more(*_):  # not by print, which the signal may have come into
    os.write(1, json.dumps({"tls_port": 8443, "tls_processes": {"nginx": [1]}}).encode() + b"\\n")
signal.signal(signal.SIGUSR1, more)
said = {"name": os.environ["PROVIDER_LISTEN"], "commit": "c0ffee", "port": 8066, "processes": {"all": [os.getpid()]}}
print(json.dumps(said | {"tls_later": True}), flush=True)
while True:
    signal.pause()
"""


@dataclasses.dataclass
class Providers:
    """What is told of the stand-in."""

    origin: str = "https://127.0.0.1:1"
    listen: str = "127.0.0.1:443"
    ca_file: Path = Path("/tmp/ca.pem")  # noqa: S108 - nobody reads it


def other(command: str) -> Other:
    """A service that a command starts."""
    return Other(command, cast("Provider", Providers()))


def test_a_service_says_where_it_is_and_is_asked_for_tls_when_that_is_needed(tmp_path: Path) -> None:
    (tmp_path / "launcher.py").write_text(LAUNCHER)
    service = other(f"{sys.executable} {tmp_path / 'launcher.py'}")
    try:
        service.start()
        assert (service.name, service.commit, service.port, service.prefix) == ("127.0.0.1:443", "c0ffee", 8066, "")
        assert (service.tls_port, service.roots(tls=True)) == (0, service.roots())
        service.open_tls()
        service.open_tls()
        assert (service.tls_port, service.roots(tls=True), list(service.roots())) == (8443, {"nginx": [1]}, ["all"])
    finally:
        service.stop()


def test_a_command_that_does_not_say_where_its_service_is_is_named() -> None:
    service = other("echo ready")
    with pytest.raises(ProblemError, match="echo ready did not say where it is"):
        service.start()


def installer(root: Path, text: str) -> Path:
    """A checkout whose installer does this."""
    path = root / "hpns" / "local" / "environment.py"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return root


def test_a_checkout_runs_with_packages_of_its_own(tmp_path: Path) -> None:
    text = "import pathlib, sys\nprint('Installed')\n(pathlib.Path(__file__).parents[2] / sys.argv[1]).touch()\n"
    assert checkout.python_of(installer(tmp_path, text)) == str(tmp_path / ".venv" / "bin" / "python")
    assert (tmp_path / "requirements.lock").exists()


def test_a_checkout_that_cannot_be_installed_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="its installer failed"):
        checkout.python_of(installer(tmp_path, "raise SystemExit(1)"))


def rounds(case: str, *pairs: tuple[float, float], **of_ours: Any) -> list[window.Window]:
    """Alternating windows of "hpns" and "before" with this much CPU each."""
    return [
        one for ours, theirs in pairs for one in (made(case, ours, **of_ours), made(case, theirs, "before", p50_ms=112))
    ]


def cells(windows: list[window.Window], limits: dict[str, float]) -> list[list[str]]:
    """The rows of the table of marks."""
    lines = marks.table(windows, "hpns", "before", limits).splitlines()[2:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def test_a_case_meets_its_mark_by_the_median_ratio_of_its_rounds() -> None:
    windows = rounds("apns-64", (1.0, 2.0), (2.0, 2.0), (0.8, 2.0)) + rounds("fcm-64", (1.5, 2.0))
    first, second = cells(windows, {"apns-*": 0.5, "*-64": 0.7})
    assert first == [
        "apns-64",
        "100 (ingest 40, worker 60)",
        "200 (ingest 80, worker 120)",
        "**0.50** (0.40-1.00)",
        "<= 0.50",
        "met",
    ]
    assert second[3:] == ["**0.75** (0.75-0.75)", "<= 0.70", "**not met**"]


def test_a_case_without_a_good_round_meets_no_mark() -> None:
    assert cells([made("apns-1", void="why"), made("apns-1", of="before")], {"*": 1.0})[0][-1] == "not measured"


def test_the_latency_that_is_added_is_told_of_the_open_loop() -> None:
    _, added = cells(rounds("apns-open-600-100ms", (1.0, 2.0), p50_ms=103.5), {})
    assert added == ["apns-open-600-100ms, latency added (p50)", "+3.5 ms", "+12.0 ms", "", "<= +4 ms", "met"]


def test_idle_is_told_a_second_over_its_whole_time_and_in_memory() -> None:
    windows = [
        window.Window(cases.IDLE, name, 5.0, cpu={"ingest": cpu, "beat": 0.01}, pss={"ingest": 2**28})
        for ours, theirs in ((0.01, 0.2), (0.07, 0.2))
        for name, cpu in (("hpns", ours), ("before", theirs))
    ]
    cpu, memory = cells(windows, {})
    assert cpu[1:] == [
        "10.0 ms a second (ingest 8.0, beat 2.0)",
        "42.0 ms a second (ingest 40.0, beat 2.0)",
        "0.24",
        "<= 8 ms a second",
        "**not met**",
    ]
    assert memory[1:] == ["256 MiB (ingest 256)", "256 MiB (ingest 256)", "1.00", "<= 250 MiB", "**not met**"]
    assert figures.table(figures.figures(windows)).count("idle (us a second)") == 2


def test_a_service_has_the_marks_of_its_name_or_of_its_commit() -> None:
    assert marks.of("before", "eaad63e" + "0" * 33)["*-256"] == 0.75
    assert marks.of("reference")["*-256"] == 0.55
    assert (marks.of("before", "0" * 40), marks.of("before", every=1.05)) == ({}, {"*": 1.05})


def test_each_case_that_has_a_mark_is_in_a_set_of_cases() -> None:
    known = cases.catalogue()
    chosen = cases.chosen(known, list(cases.SETS))
    for limits in marks.RATIOS.values():
        assert all(cases.chosen(chosen, [pattern]) for pattern in limits)
    assert [case.name for case in chosen if case.load == "tls"] == ["apns-tls-100", "apns-tls-100-100ms"]
    assert chosen[0].name == cases.IDLE


def test_nobody_waits_for_a_load_that_does_not_end() -> None:
    command = [sys.executable, "-c", "import time; print('so far', flush=True); time.sleep(60)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert window.output(process, 0.5) == "it did not end within 0 s"
        assert process.wait(5) != 0


def test_what_very_many_customers_cost_is_held_against_its_marks() -> None:
    mib = 2**20
    before = [many.Started(2.0, {"web": 100 * mib, "pages": 90 * mib}), many.Started(1.0, {"worker": 80 * mib})]
    after = [many.Started(10.5, {"web": 251 * mib, "pages": 90 * mib}), many.Started(2.0, {"worker": 230 * mib})]
    lines = many.table(before, after, {"add": [0.2, 0.4], "revoke": [2.1]}).splitlines()[2:]
    assert [line.rpartition(" | ")[2].strip(" |") for line in lines] == [
        *("**not met**", "met", "**not met**", "met", "met", "met", "**not met**")
    ]
