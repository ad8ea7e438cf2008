"""The service of another checkout of this project, for alternating windows of before and after:

    git worktree add /tmp/before HEAD~1
    bin/bench --yardstick --against ".venv/bin/python -m tests.bench.checkout /tmp/before"

It runs on fresh data of its own and with this checkout's packages.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from hpns.local.account import for_servers
from hpns.local.folder import Folder
from tests.bench import service


class Elsewhere:
    """What a Service needs to know of a provider that was started by somebody else."""

    def __init__(self) -> None:
        self.origin = os.environ["PROVIDER_ORIGIN"]
        self.ca_file = Path(os.environ["PROVIDER_CA_FILE"])


def main() -> int:
    """See the module, and tests/bench/other.py for what is printed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--state", type=Path, default=service.ROOT / ".state" / "bench-other")
    parser.add_argument("--name", default="other")
    options = parser.parse_args()
    folder = Folder(options.state, for_servers())
    folder.lock()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # From here on a signal ends it in order, wherever it comes in.
    started = service.Service(folder, Elsewhere(), options.root.resolve())
    try:
        started.start()
        report = {"name": options.name, "port": started.port, "prefix": started.prefix, "processes": started.roots()}
        print(json.dumps(report), flush=True)
        while True:
            signal.pause()
    finally:
        started.stop()


if __name__ == "__main__":
    sys.exit(main())
