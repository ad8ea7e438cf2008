"""One step of a growth run: `python -m tests.bench.growth fill|pages|pace TASK OUT`, in the service's environment.

TASK and OUT are JSON on the disk; what the step has found is added to OUT. run.py starts it with the role it needs.
"""

import sys
from pathlib import Path

import django
import msgspec
from django.utils.module_loading import import_string

from tests.bench.growth import report


def main(step: str, task_file: Path, out: Path) -> None:
    """Do the step. Raises whatever goes wrong: run.py says that it failed."""
    django.setup()
    # Models can be imported from here on only.
    steps, task_type = (import_string(f"tests.bench.growth.steps.{name}") for name in ("STEPS", "Task"))
    task = msgspec.json.decode(task_file.read_bytes(), type=task_type)
    found = report.load(out)
    steps[step](task, found)
    task_file.write_bytes(msgspec.json.encode(task))
    report.save(found, out)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
