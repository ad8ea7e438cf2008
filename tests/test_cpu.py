"""What tests/cpu.py counts."""

import os
import subprocess
import sys

from tests import cpu

# Uses so many seconds of the processor, says so, and waits for its end.
BUSY = """
import sys, time
while time.process_time() < 0.3:
    pass
print("used", flush=True)
sys.stdin.read()
"""


def test_what_a_child_has_used_counts_while_it_runs_and_after_its_end() -> None:
    before = cpu.used(os.getpid())
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"used\n"
        assert cpu.used(os.getpid()) - before >= 0.25  # in ticks of a hundredth, each part rounded down
    assert cpu.used(os.getpid()) - before >= 0.25
