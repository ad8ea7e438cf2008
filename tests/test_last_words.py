"""A test that fails says what its service has logged: whoever reads of it elsewhere has nothing else."""

from pathlib import Path

from hpns.local.process import Child, Spec
from tests import last_words
from tests.waiting import PATIENCE, wait_for


def test_the_last_words_are_each_processs_last_lines_and_whether_it_runs(tmp_path: Path) -> None:
    script = f"for line in $(seq {last_words.LINES_MOST + 5}); do echo line $line; done; exit 3"
    log = tmp_path / "worker.log"
    child = Child(Spec(name="worker", command=("/bin/sh", "-c", script), env={}, log=log))
    wait_for(lambda: child.poll() is not None, PATIENCE, "it has ended")
    said = last_words.of({"worker": child}).splitlines()
    assert said[0] == "worker has ended with 3:"
    assert [line.strip() for line in said[1:]] == [f"line {number}" for number in range(6, 21)]
