"""The service of another checkout of this project, for alternating windows of before and after:

    git worktree add /tmp/before HEAD~1
    bin/bench --yardstick --against ".venv/bin/python -m tests.bench.checkout /tmp/before --name before"

It runs on fresh data of its own and with packages of its own: those of its requirements.lock, which are installed into
its .venv the first time, as its bin/run does. --python names another interpreter in place of that.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.problem import ProblemError
from tests.bench import service

# Each of them has what the service needs.
LOCKS = ("requirements.lock", "requirements-dev.lock")
INSTALL_SECONDS = 270


class Elsewhere:
    """What a Service needs to know of a provider that was started by somebody else."""

    def __init__(self) -> None:
        self.origin = os.environ["PROVIDER_ORIGIN"]
        self.ca_file = Path(os.environ["PROVIDER_CA_FILE"])


def python_of(root: Path) -> str:
    """The interpreter in the .venv of a checkout, made by its own installer where it is not there or not up to date.

    Raises ProblemError.
    """
    command = [sys.executable, "-I", str(root / "hpns" / "local" / "environment.py"), *LOCKS]
    try:
        # Our own stdout is for one line of JSON.
        done = subprocess.run(command, stdout=sys.stderr, check=False, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ProblemError(f"{root} was not installed within {INSTALL_SECONDS} s.") from error
    if done.returncode:
        raise ProblemError(f"{root} has no .venv, and its installer failed ({done.returncode}).")
    return str(root / ".venv" / "bin" / "python")


def commit_of(root: Path) -> str:
    """The commit that is checked out there, "" where that is not known."""
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def say(report: dict[str, object]) -> None:
    """One line of JSON to whoever started us."""
    print(json.dumps(report), flush=True)


def serve(options: argparse.Namespace) -> None:
    """Run the service until SIGTERM; with TLS from SIGUSR1 on. Raises ProblemError."""
    root = options.root.resolve()
    folder = Folder(options.state or service.ROOT / ".state" / f"bench-{options.name}", for_servers())
    folder.lock()
    started = service.Service(folder, Elsewhere(), root, python=options.python or python_of(root))

    def open_tls(*_: object) -> None:
        started.open_tls()
        say({"tls_port": started.tls_port, "tls_processes": started.roots(tls=True)})

    signal.signal(signal.SIGUSR1, open_tls)
    try:
        started.start()
        say(
            {
                "name": options.name,
                "commit": commit_of(root),
                "port": started.port,
                "prefix": started.prefix,
                "processes": started.roots(),
                "tls_later": True,
            }
        )
        while True:
            signal.pause()
    finally:
        started.stop()


def main() -> int:
    """See the module, and tests/bench/other.py for what is printed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--state", type=Path, help="folder (default: .state/bench-NAME of this checkout)")
    parser.add_argument("--name", default="other", help="what the tables call it (default: %(default)s)")
    parser.add_argument("--python", help="an interpreter that has what it needs (default: that of its .venv)")
    options = parser.parse_args()
    # From here on a signal ends it in order, wherever it comes in.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        serve(options)
    except ProblemError as problem:
        print(problem, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
