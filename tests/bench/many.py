"""bin/bench many: start, memory and changes of a service with 10,000 customers and 100,000 keys.

    bin/bench many
    bin/bench many --customers 1000 --keys 10000

A front door (with its pages process) and a worker are started beside those that run, before the customers are there
and once more after. Each is told by the seconds from its start to its first good push, and by its memory; then keys
are made and revoked by the service's own code, and told by the seconds until the front door goes by that.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

import msgspec
import psycopg

from hpns.local.account import for_servers
from hpns.local.ask import request
from hpns.local.folder import Folder
from hpns.local.logs import end_of
from hpns.local.problem import ProblemError
from hpns.local.process import Child, bound_to_parent
from tests.bench import bodies, figures, processes, programs
from tests.bench.provider import Provider
from tests.bench.service import PAGES, ROOT, Service

# Seconds within which something must have happened at all, and after which a process has settled.
LIMIT: Final = 120.0
CALM: Final = 15.0
CHANGES: Final = 5
"""How many keys are made, and how many revoked."""
START_SECONDS, CHANGE_SECONDS, MORE_MIB = 10.0, 2.0, 150.0
"""The marks: from the start to the first push, from a change to its effect, and the memory that the customers take."""
SQL: Final = (
    "INSERT INTO tenants_customer (name, slug, status, offer, content, contacts, created_at) "
    "SELECT 'Many ' || n, 'many-' || n, 'active', 'hpns', 'as_sent', '{{}}', now() FROM generate_series(1, {0}) n",
    "INSERT INTO tenants_entitlement (customer_id, active, may_use_shared, tls_required, may_use_server_id, rate,"
    " burst, server_rate, server_burst, refusal, may_grow, updated_at) "
    "SELECT id, true, true, false, false, 100, 200, 50, 100, '', true, now() "
    "FROM tenants_customer WHERE slug LIKE 'many-%'",
    "INSERT INTO tenants_server (customer_id, name, public_id, networks, anonymous, created_at) "
    "SELECT id, 'chat.example', gen_random_uuid(), '{{192.0.2.0/24}}', false, now() "
    "FROM tenants_customer WHERE slug LIKE 'many-%'",
    "INSERT INTO tenants_serverkey (server_id, prefix, digest, name, created_at) "
    "SELECT tenants_server.id, 'm' || lpad((row_number() OVER ())::text, 7, '0'), sha256((random()::text)::bytea), '',"
    " now() FROM tenants_server JOIN tenants_customer ON tenants_customer.id = customer_id, generate_series(1, {1}) "
    "WHERE slug LIKE 'many-%'",
    "ANALYZE",
)
# Reads "add" and "revoke"; answers with the key and the moment before, by the service's own code.
CHANGER: Final = """
import json, sys, time
import django
django.setup()
from tenants import services
from tenants.models import Server
server = Server.objects.filter(customer__slug="demo", anonymous=False).first()
made = []
for line in sys.stdin:
    at = time.time()
    if line.strip() == "add":
        made.append(services.key_add(server=server))
        text = made[-1].text
    else:
        done = made.pop()
        services.key_revoke(key=done.row)
        text = done.text
    print(json.dumps({"key": text, "at": at}), flush=True)
"""


class Started(msgspec.Struct, frozen=True):
    """A process that was started: seconds to its first push (worker: until it works), bytes (PSS) some seconds later
    of it and of the pages process below it."""

    seconds: float
    memory: dict[str, int]


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bin/bench many", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=10_000, help="how many (default: %(default)s)")
    parser.add_argument("--keys", type=int, default=100_000, help="of all of them (default: %(default)s)")
    parser.add_argument("--state", type=Path, default=ROOT / ".state" / "many", help="folder (default: .state/many)")
    return parser.parse_args(arguments)


class Many:
    """The service, and what is started beside it."""

    def __init__(self, service: Service, folder: Folder) -> None:
        self._service, self._folder = service, folder
        self._door = 0

    @contextmanager
    def door(self, name: str) -> Iterator[Started]:
        """One more front door, as long as the context lasts."""
        self._door = self._folder.port("one more front door")
        since = time.monotonic()
        with self._more(name, "hpns.ingest", "--port", str(self._door)) as child:
            key = self._service.prefix.removeprefix("/t/")
            self._until(lambda: self._good(key), name)
            seconds = time.monotonic() - since
            time.sleep(CALM)
            seen = processes.look()
            groups = {"web": [child.pid], "pages": processes.named(seen, [child.pid], PAGES)}
            yield Started(seconds, self._memory(groups))

    @contextmanager
    def worker(self, name: str) -> Iterator[Started]:
        """One more worker, as long as the context lasts."""
        since = time.monotonic()
        with self._more(name, "hpns.worker") as child:
            log = child.spec.log
            self._until(lambda: " ready" in log.read_text(errors="replace"), name)
            seconds = time.monotonic() - since
            time.sleep(CALM)
            yield Started(seconds, self._memory({"worker": [child.pid]}))

    def fill(self, customers: int, keys: int) -> None:
        """Add the customers with their keys. Raises psycopg's errors."""
        with psycopg.connect(self._service.settings["DATABASE_URL"]) as connection:
            for statement in SQL:
                connection.execute(statement.format(customers, keys // customers).encode())

    def changes(self) -> dict[str, list[float]]:
        """Seconds until the open front door went by each change."""
        command = [sys.executable, "-c", CHANGER]
        env = {**self._service.settings, "DJANGO_SETTINGS_MODULE": "hpns.settings"}
        found: dict[str, list[float]] = {"add": [], "revoke": []}
        with subprocess.Popen(
            command,
            env=env,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=bound_to_parent(9),  # type: ignore[arg-type]  # noqa: PLW1509 - no threads here
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for word in ("add", "revoke"):
                for _ in range(CHANGES):
                    found[word].append(self._change(process.stdin, process.stdout, word))
                    time.sleep(0.3)
            process.stdin.close()
        return found

    def _change(self, told: IO[bytes], says: IO[bytes], word: str) -> float:
        told.write(word.encode() + b"\n")
        told.flush()
        line = says.readline()
        if not line:
            raise ProblemError(f"No key could be changed ({word}).")
        change = json.loads(line)
        self._until(lambda: self._good(change["key"]) == (word == "add"), word)
        return float(time.time() - change["at"])

    def _good(self, key: str) -> bool:
        body = (self._folder.path / "bodies" / "apns.jsonl").read_bytes().splitlines()[0].decode()
        status, answer = request("POST", self._door, f"/t/{key}/api/v1/send_push", body)
        return status == 200 and isinstance(answer, dict) and answer.get("status") == "OK"

    def _until(self, is_so: Callable[[], bool], what: str) -> None:
        limit = time.monotonic() + LIMIT
        while not is_so():
            if time.monotonic() > limit:
                raise ProblemError(f"{what}: not within {LIMIT:.0f} s; {end_of(self._folder.logs / f'{what}.log')}")
            time.sleep(0.01)

    @contextmanager
    def _more(self, name: str, *arguments: str) -> Iterator[Child]:
        child = self._service.more(name, *arguments)
        try:
            yield child
        finally:
            child.send_stop_signal()
            limit = time.monotonic() + 20
            while child.poll() is None and time.monotonic() < limit:
                time.sleep(0.05)
            child.kill()

    def _memory(self, groups: dict[str, list[int]]) -> dict[str, int]:
        trees = processes.trees(processes.look(), groups)
        return {group: processes.memory(pids)[1] for group, pids in trees.items() if pids}


def table(before: list[Started], after: list[Started], changes: dict[str, list[float]]) -> str:
    """What was measured, in Markdown. before, after: the front door and the worker without and with the customers."""
    rows = []
    for name, old, new, mark in zip(
        ("front door, first push", "worker, ready"), before, after, (START_SECONDS, START_SECONDS), strict=True
    ):
        rows.append([name, f"{old.seconds:.1f} s", f"{new.seconds:.1f} s", *_held(new.seconds, mark, "s")])
    for old, new in zip(before, after, strict=True):
        for group, size in new.memory.items():
            was = old.memory.get(group, 0)
            more = (size - was) / 2**20
            texts = [f"{each / 2**20:.0f} MiB" for each in (was, size)]
            rows.append([f"memory of {group}", *texts, f"<= +{MORE_MIB:.0f} MiB", _met(more <= MORE_MIB)])
    for word, seconds in changes.items():
        told = f"{min(seconds):.2f} to {max(seconds):.2f} s"
        rows.append([f"a key: {word}, until known", "", told, *_held(max(seconds), CHANGE_SECONDS, "s")])
    return figures.markdown(["", "before", "with all of them", "mark", "met"], rows)


def _held(value: float, mark: float, unit: str) -> tuple[str, str]:
    return f"<= {mark:.0f} {unit}", _met(value <= mark)


def _met(yes: bool) -> str:
    return "met" if yes else "**not met**"


def work(options: argparse.Namespace) -> None:
    """Do it and print the table. Raises ProblemError, psycopg's errors."""
    folder = Folder(options.state, for_servers())
    folder.lock()
    (folder.path / "bodies").mkdir(exist_ok=True)
    bodies.write(folder.path / "bodies", "apns")
    with ExitStack() as stack:
        provider = Provider(folder, programs.find())
        stack.callback(provider.stop)
        provider.start()
        service = Service(folder, provider)
        stack.callback(service.stop)
        print("Starting the service on fresh data.", flush=True)
        service.start()
        many = Many(service, folder)
        with many.door("door-before") as door, many.worker("worker-before") as worker:
            before = [door, worker]
        print(f"Adding {options.customers:,} customers with {options.keys:,} keys.", flush=True)
        many.fill(options.customers, options.keys)
        with many.door("door-after") as door, many.worker("worker-after") as worker:
            changes = many.changes()
        print(table(before, [door, worker], changes), flush=True)
