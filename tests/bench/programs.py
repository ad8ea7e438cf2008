"""The programs of a benchmark: those that no wheel brings (nginx with its echo module, wrk), and its own commands."""

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg

from hpns.local.problem import ProblemError

ECHO = Path("usr/lib/nginx/modules/ngx_http_echo_module.so")
# What is looked for, and the Debian package that has it.
PACKAGES = {"nginx": "nginx", "wrk": "wrk", "echo": "libnginx-mod-http-echo"}


def exit_code(work: Callable[[], None]) -> int:
    """Do the work of a benchmark's command; its exit code. What went wrong is said in a line on stderr."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped in order
    try:
        work()
    except (ProblemError, LookupError, psycopg.Error) as problem:
        print(problem.args[0] if isinstance(problem, LookupError) else problem, file=sys.stderr)
        return 1
    except OSError as problem:
        if problem.filename is None:  # "timed out" by itself tells nobody what did not answer
            traceback.print_exc()
        else:
            print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def find(root: Path = Path("/"), search_path: str | None = None) -> Mapping[str, str]:
    """Their paths. Raises ProblemError with the command that installs what is missing.

    root and search_path stand in for the machine's.
    """
    # nginx lives where only root's PATH leads.
    places = search_path if search_path is not None else os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    found = {name: path for name in ("nginx", "wrk") if (path := shutil.which(name, path=places))}
    if (root / ECHO).exists():
        found["echo"] = str(root / ECHO)
    missing = [package for name, package in PACKAGES.items() if name not in found]
    if missing:
        raise ProblemError(
            f"Not found: {', '.join(missing)}. apt-get install --no-install-recommends {' '.join(missing)}"
        )
    return found
