"""What a service's processes have logged last, for the report of a test that has failed on somebody else's machine."""

from collections.abc import Mapping
from typing import Final

from hpns.local.process import Child

# Lines of each process, and characters of a line.
LINES_MOST: Final = 15
LINE_MOST: Final = 300


def of(children: Mapping[str, Child]) -> str:
    """The last lines of each process by its name, and whether it runs."""
    found = []
    for name, child in children.items():
        state = "runs" if child.poll() is None else f"has ended with {child.poll()}"
        log = child.spec.log
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        found += [f"{name} {state}:", *(f"    {line[:LINE_MOST]}" for line in lines[-LINES_MOST:])]
    return "\n".join(found)
