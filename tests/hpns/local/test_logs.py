"""The log files of the children."""

from pathlib import Path

import pytest

from hpns.local import logs
from hpns.local.logs import Watcher, end_of


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-01 10:00:00 ERROR delivery no key",
        '{"event": "no key", "level": "error"}',
        '{"level":"critical"}',
        "2026-01-01 UTC [7] FATAL:  no space",
        "[2026-01-01: CRITICAL/MainProcess] no broker",
    ],
)
def test_an_error_in_any_format_is_loud(tmp_path: Path, line: str) -> None:
    log = tmp_path / "worker.log"
    watcher = Watcher()
    watcher.follow(log)
    log.write_text(f"INFO well\n{line}\nERRORS is no level\n")
    assert watcher.error_lines() == [f"worker: {line}"]
    assert watcher.error_lines() == []


def test_what_was_there_before_is_not_shown_again(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text("ERROR of the last start\n")
    watcher = Watcher()
    watcher.follow(log)
    assert watcher.error_lines() == []


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    watcher = Watcher()
    watcher.follow(log)
    log.write_text("ERR")
    assert watcher.error_lines() == []
    log.write_text("ERROR whole\n")
    assert watcher.error_lines() == ["worker: ERROR whole"]


def test_a_flood_is_cut_and_counted(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    watcher = Watcher()
    watcher.follow(log)
    log.write_text("ERROR again\n" * 100)
    shown = watcher.error_lines()
    assert shown == ["worker: ERROR again"] * 5 + [f"worker: and 95 more such lines in {log}"]


def test_a_log_that_has_grown_large_starts_anew_and_keeps_one_older_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LIMIT", 1000)
    log = tmp_path / "worker.log"
    watcher = Watcher()
    watcher.follow(log)
    with log.open("a") as child:
        child.write("a line\n" * 200)
        child.flush()
        watcher.error_lines()
        assert log.stat().st_size == 0
        child.write("ERROR after\n")
    assert watcher.error_lines() == ["worker: ERROR after"]
    assert log.read_text() == "ERROR after\n"
    assert (tmp_path / "worker.log.1").read_text() == "a line\n" * 200


def test_the_end_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    assert end_of(log) == f"{log} is empty."
    log.write_text("".join(f"line {number}\n" for number in range(20)))
    assert end_of(log, 2) == f"the end of {log}:\n    line 18\n    line 19"
