"""Programs that the tests use and no wheel brings: a browser, docker-compose, age and curl.

Invariant: a missing one is installed (root on Debian), or said to be missing, or in CI an error; never passed over.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

# The program's names, the best first; libraries that it needs besides (the browser's driver comes in a wheel, its
# library does not), the Debian packages of the best, and what is not tested without it.
WANTED = {
    "CHROMIUM": (
        # The shell without windows takes half of the processor time, which is a seventh of the whole suite's.
        ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"),
        ("libatomic.so.1",),
        ("chromium-headless-shell", "libatomic1"),
        "browser tests",
    ),
    "DOCKER_COMPOSE": (("docker-compose",), (), ("docker-compose",), "the check of docker-compose.yml"),
    "AGE": (("age",), (), ("age",), "that a backup is opened without this program"),
    "PROMTOOL": (("promtool",), (), ("prometheus",), "the unit tests of the rules for Prometheus"),
    "CURL": (("curl",), (), ("curl",), "the curl that bin/run prints"),
}


def find(search_path: str | None = None) -> dict[str, str]:
    """The programs that are here: variable for the tests -> path.

    A variable that is set in the environment names its program, and no other will do. `search_path` stands in for this
    machine: programs and libraries are looked for in its folders alone, and the environment says nothing.
    """
    named = os.environ if search_path is None else {}
    found = {}
    for variable, (usual, libraries, _, _) in WANTED.items():
        names = (named[variable],) if named.get(variable) else usual
        path = next((path for name in names if (path := shutil.which(name, path=search_path))), None)
        if path and all(loads(library, search_path) for library in libraries):
            found[variable] = path
    return found


def loads(library: str, search_path: str | None = None) -> bool:
    """Whether a shared library can be loaded: of this machine, or from a folder of `search_path`."""
    folders = [] if search_path is None else search_path.split(os.pathsep)
    for path in [library] if search_path is None else [f"{folder}/{library}" for folder in folders]:
        try:
            ctypes.CDLL(path)
        except OSError:
            continue
        return True
    return False


def install(missing: list[str], log: Path) -> bool:
    """Install the packages of the variables `missing` with apt-get; False when that cannot be done here or failed."""
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or not apt:
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    packages = [package for variable in missing for package in WANTED[variable][2]]
    with log.open("ab") as output:
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            done = subprocess.run(
                [apt, "-qq", *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            )
            if done.returncode:
                return False
    return True


def are_enough(found: Mapping[str, str], *, ci: bool) -> bool:
    """Whether the tests may go on with these: in CI all are wanted, elsewhere a missing one has been said."""
    return not ci or all(variable in found for variable in WANTED)


def complaints(found: Mapping[str, str]) -> list[str]:
    """One line for each program that is missing: what is not tested, and how to get it."""
    return [complaint(variable) for variable in WANTED if variable not in found]


def complaint(variable: str) -> str:
    """What is not tested without this program or its libraries, and how to get them, in one line."""
    _, _, packages, untested = WANTED[variable]
    return f"not run: {untested} (missing: apt install {' '.join(packages)})"


def substitutes(found: Mapping[str, str]) -> list[str]:
    """The variables of programs that do, but not as well as the first of their names; one that is set is as wanted."""
    return [
        variable
        for variable, path in found.items()
        if not os.environ.get(variable) and Path(path).name != WANTED[variable][0][0]
    ]


def provide(log: Path, print_line: Callable[[str], None]) -> dict[str, str]:
    """The programs for the tests, installed where possible; says what is missing still, or could be quicker."""
    found = find()
    wanted = [variable for variable in WANTED if variable not in found] + substitutes(found)
    if wanted and install(wanted, log):
        found = find()
    for line in complaints(found):
        print_line(line)
    for variable in substitutes(found):
        print_line(f"slower: {WANTED[variable][3]} (with {found[variable]}: apt install {WANTED[variable][2][0]})")
    return found
