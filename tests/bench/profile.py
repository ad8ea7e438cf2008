"""Where a process spends its time: py-spy's samples, folded into the functions they were taken in. Optional.

py-spy is not among our packages: put it into PATH, or name it in PY_SPY (`pip install py-spy` into an environment of
its own). Only threads that hold the interpreter's lock are sampled: whoever waits costs nothing. With --native it sees
into libcurl and the codecs too; what the kernel and threads without Python cost, `perf top -p PID` tells.
"""

import collections
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from hpns.local.problem import ProblemError
from tests.bench import processes
from tests.bench.window import Window

# The number in "function (file.py:12)": a function is one thing, whichever of its lines was caught.
LINE = re.compile(r":\d+(?=\)$)")
Load = Callable[[], Window]
SHOWN = 40


def find() -> str:
    """The path of py-spy. Raises ProblemError without one."""
    path = os.environ.get("PY_SPY") or shutil.which("py-spy")
    if not path:
        raise ProblemError("--profile needs py-spy: pip install it into an environment of its own, PY_SPY=its path.")
    return path


def folded(lines: Iterable[str]) -> tuple[collections.Counter[str], collections.Counter[str], int]:
    """Samples by the function they were taken in, by every function on their stacks (each once), and all of them.

    lines: "outer;inner;innermost COUNT" each, as py-spy's format "raw" has them.
    """
    own: collections.Counter[str] = collections.Counter()
    below: collections.Counter[str] = collections.Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if not count.isdigit():
            continue
        frames = [LINE.sub("", frame) for frame in stack.split(";")]
        own[frames[-1]] += int(count)
        for frame in set(frames):
            below[frame] += int(count)
    return own, below, own.total()


def summary(lines: Iterable[str]) -> str:
    """The functions with the most samples, as two lists: in the function itself, and with what it calls."""
    own, below, total = folded(lines)
    text = []
    for title, counter in (("itself", own), ("with what it calls", below)):
        text.append(f"  {title}:")
        significant = [(name, count) for name, count in counter.most_common() if count < total * 0.98]
        text += [f"    {count / total:6.1%}  {name}" for name, count in significant[:SHOWN]]
    return "\n".join(text)


def sample(sampler: str, roots: list[int], seconds: int, out: Path, load: Load) -> str:
    """Sample the busiest process below `roots` while `load` runs; returns what was found, keeps the stacks in `out`."""
    pids = processes.tree(processes.look(), roots)
    if not pids:
        return "  no such process"
    seen = processes.look()
    pid = max(pids, key=lambda one: seen[one].total if one in seen else 0)
    out.parent.mkdir(exist_ok=True)
    path = out.with_suffix(".folded")
    command = [sampler, "record", "--native", "--gil", "--format", "raw", "--rate", "200"]
    process = subprocess.Popen(
        [*command, "--duration", str(seconds), "--output", str(path), "--pid", str(pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    load()
    complaint = process.communicate()[1].decode()
    if not path.exists():
        return f"  py-spy failed: {complaint.strip()[-300:]}"
    return summary(path.read_text(errors="replace").splitlines())
