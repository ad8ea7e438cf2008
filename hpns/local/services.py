"""PostgreSQL and Valkey for as long as a command runs.

    python -m hpns.local.services STATE_DIR [--fast] -- COMMAND...

runs COMMAND with DATABASE_URL and REDIS_URL set; where they are set already, those servers are used as they are. With
a PostgreSQL of ours the URLs of the three other roles are set, too.
--fast is for tests: nothing survives a crash of the machine.
"""

import os
import secrets
import sys
from pathlib import Path

from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.guard import guarded
from hpns.local.postgres import DIRECTORY_USER, PAGES_USER, WORKER_USER, Postgres
from hpns.local.problem import ProblemError
from hpns.local.supervisor import StoppedError, Supervisor
from hpns.local.valkey import Valkey


def start(supervisor: Supervisor, folder: Folder, *, fast: bool = False) -> dict[str, str]:
    """Start what the environment does not name, wait until it serves, return DATABASE_URL and REDIS_URL; for a Valkey
    of ours REDIS_SOCKET, and for a PostgreSQL of ours PAGES_, WORKER_ and DIRECTORY_DATABASE_URL, whose roles are
    yet to be made.

    Raises ProblemError, StoppedError.
    """
    urls = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL") if os.environ.get(name)}
    started = []
    if "DATABASE_URL" not in urls:
        postgres = Postgres(folder, folder.secret("postgres_password", secrets.token_urlsafe), fast=fast)
        supervisor.start(postgres.spec())
        urls["DATABASE_URL"] = postgres.url
        for name, user in (
            ("PAGES_DATABASE_URL", PAGES_USER),
            ("WORKER_DATABASE_URL", WORKER_USER),
            ("DIRECTORY_DATABASE_URL", DIRECTORY_USER),
        ):
            urls[name] = postgres.url_of(user, folder.secret(f"{user}_password", secrets.token_urlsafe))
        started.append("postgres")
    if "REDIS_URL" not in urls:
        valkey = Valkey(folder, folder.secret("valkey_password", secrets.token_urlsafe), fast=fast)
        supervisor.start(valkey.spec())
        urls["REDIS_URL"] = valkey.url
        urls["REDIS_SOCKET"] = valkey.socket
        started.append("valkey")
    supervisor.ready(*started)
    return urls


def main(arguments: list[str]) -> int:
    """Run the command line above; its exit code is the command's, 1 for a problem of ours, 2 for a wrong call."""
    if "--" not in arguments:
        print(__doc__, file=sys.stderr)
        return 2
    separator = arguments.index("--")
    ours, command = arguments[:separator], arguments[separator + 1 :]
    paths = [argument for argument in ours if argument != "--fast"]
    if len(paths) != 1 or not command:
        print(__doc__, file=sys.stderr)
        return 2
    return guarded(lambda: _run(Path(paths[0]), command, fast="--fast" in ours), at_terminal=True)


def _run(path: Path, command: list[str], *, fast: bool) -> int:
    try:
        folder = Folder(path, for_servers())
        folder.lock()
        with Supervisor(folder, lambda line: print(line, file=sys.stderr)) as supervisor:
            urls = start(supervisor, folder, fast=fast)
            return supervisor.foreground(command, {**os.environ, **urls})
    except ProblemError as problem:
        print(problem, file=sys.stderr)
        return 1
    except StoppedError:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
