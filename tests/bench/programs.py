"""The programs of a benchmark that no wheel brings: nginx with its echo module, and wrk."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from hpns.local.problem import ProblemError

ECHO = Path("usr/lib/nginx/modules/ngx_http_echo_module.so")
# What is looked for, and the Debian package that has it.
PACKAGES = {"nginx": "nginx", "wrk": "wrk", "echo": "libnginx-mod-http-echo"}


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
