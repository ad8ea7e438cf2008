"""Our own service under test: started by the very command behind bin/run, with a provider of the benchmark's.

Invariant: nothing is set that an operator would not set; the settings that make it durable and private are untouched.
"""

import json
import os
import random
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import psycopg

from delivery.sandbox import demo
from hpns.local.announce import RUN_FILE
from hpns.local.ask import request
from hpns.local.folder import Folder, free
from hpns.local.logs import end_of
from hpns.local.problem import ProblemError
from hpns.local.process import Child, Spec
from tests.bench import bodies, processes
from tests.bench.cases import PROVIDERS

ROOT = Path(__file__).resolve().parent.parent.parent
# What is counted: the processes that a push passes, and the timetable.
GROUPS = ("ingest", "pages", "worker", "valkey", "postgres", "beat")
# By what the pages' process is known below the web process that starts it, where it has one of its own.
PAGES = "hpns.pages_process"
# Not taken over from the caller: the stores must be the embedded ones, and no proxy may stand in the way.
UNWANTED = (
    *(
        "DATABASE_URL",
        "PAGES_DATABASE_URL",
        "WORKER_DATABASE_URL",
        "DIRECTORY_DATABASE_URL",
        "REDIS_URL",
        "REDIS_SOCKET",
        "CELERY_BROKER_URL",
        "HTTPS_PROXY",
        "https_proxy",
        "TLS_CERT_FILE",
    ),
)


# Counted for each push as ever, and out of reach.
LIMITS = ("rate", "burst", "in-flight", "server-rate", "server-burst", "server-in-flight")
# Seconds in which an ended push reaches the delivery log.
SETTLE = 2.0


class Where(Protocol):
    """What the service is told of the providers."""

    @property
    def origin(self) -> str:
        """Their address."""

    @property
    def ca_file(self) -> Path:
        """The CA that signed their certificate; server.pem and server.key beside it will do for our front door."""


class Service:
    """The service of the checkout `root` on fresh data. start(), then `port`, `prefix` and roots() say where it is."""

    name = "hpns"

    def __init__(
        self,
        folder: Folder,
        provider: Where,
        root: Path = ROOT,
        settings: Mapping[str, str] | None = None,
        python: str = sys.executable,
        web: int = 1,
    ) -> None:
        """settings: more of an operator's. python: the interpreter with what the checkout needs. web: processes."""
        self._folder = folder
        self.root = root
        self._python, self._web = python, web
        self._more = dict(settings or {})
        self._provider = provider
        self._home = folder.path / "service"
        self._child: Child | None = None
        self._tls: Child | None = None
        self.port = folder.port("front door")
        # 0 until there is one.
        self.tls_port = 0
        self.prefix = ""
        self.processes: dict[str, int] = {}
        self.settings: dict[str, str] = {}

    def start(self) -> None:
        """Start it and see a push through. Raises ProblemError."""
        shutil.rmtree(self._home, ignore_errors=True)
        self._child = self._run(
            "service",
            *("hpns.local.run", "--no-sandbox", "--state", str(self._home), "--port", str(self.port)),
            *("--ingest", str(self._web)),
            env=self._environment(),
        )
        run_file = self._home / RUN_FILE
        limit = time.monotonic() + 240
        while not run_file.exists():
            self._alive(self._child, limit)
        run_info: dict[str, Any] = Folder(self._home, self._folder.account).read(RUN_FILE)
        self.processes = {name: int(pid) for name, pid in run_info["processes"].items()}
        self.prefix = f"/t/{run_info['demo_key']}"
        self.settings = {**self._environment(), **exported(Path(run_info["env"]).read_text(encoding="utf-8"))}
        self._seed()
        self._first_push(limit)
        time.sleep(SETTLE)  # until its row is in the log

    def open_tls(self) -> None:
        """Start one more front door, with TLS, and wait until it serves. Raises ProblemError."""
        if self._tls is not None:
            return
        port, limit = self._folder.port("front door with TLS"), time.monotonic() + 60
        arguments = ["hpns.ingest", "--port", str(port)]
        self._tls = self._run("ingest-tls", *arguments, env={**self.settings, **self._tls_files()})
        while free(port):
            self._alive(self._tls, limit)
        self.tls_port = port

    def more(self, name: str, *arguments: str) -> Child:
        """Start one more process of the service beside it; module and arguments. Whoever asks for it ends it."""
        return self._run(name, *arguments, env=self.settings)

    def roots(self, *, tls: bool = False) -> dict[str, list[int]]:
        """The process ids of each group. tls: those that a push through the TLS front door passes."""
        groups: dict[str, list[int]] = {group: [] for group in GROUPS}
        for name, pid in self.processes.items():
            group = name.partition("-")[0]
            if group in groups:
                groups[group].append(pid)
        if tls and self._tls is not None:
            groups["ingest"] = [self._tls.pid]
        groups["pages"] = processes.named(processes.look(), groups["ingest"], PAGES)
        return {group: pids for group, pids in groups.items() if pids}

    def stop(self) -> None:
        """Stop it in order."""
        for child in (self._tls, self._child):
            if child is None:
                continue
            child.send_stop_signal()
            limit = time.monotonic() + 40
            while child.poll() is None and time.monotonic() < limit:
                time.sleep(0.05)
            child.kill()

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
        origin = self._provider.origin
        return {
            **kept,
            "PYTHONPATH": str(self.root),
            "READ_DOT_ENV": "false",
            "APNS_ORIGIN": origin,
            "FCM_ORIGIN": origin,
            "GOOGLE_TOKEN_ORIGIN": origin,
            "PROVIDER_CA_FILE": str(self._provider.ca_file),
            **self._more,
        }

    def _tls_files(self) -> dict[str, str]:
        certificate = self._provider.ca_file.with_name("server.pem")
        return {"TLS_CERT_FILE": str(certificate), "TLS_KEY_FILE": str(certificate.with_suffix(".key"))}

    def _seed(self) -> None:
        """Add the demo's apps with keys of their own (the provider looks at none), and limits that no load reaches."""
        made = demo.make(self._home / "credentials", self._provider.origin)
        arguments = ["hpns.local.prepare", str(self._home), str(made.apns_key), str(made.service_account)]
        self._finish("prepare", *arguments)
        # A checkout of before there were limits has no such command.
        if (self.root / "billing" / "management").exists():
            wide = [argument for name in LIMITS for argument in (f"--{name}", "10000000")]
            self._finish("limits", "django", "customer", "limits", "--slug", "demo", *wide)

    def _finish(self, name: str, *arguments: str) -> None:
        """Run something that ends, to its end."""
        child = self._run(name, *arguments, env={"DJANGO_SETTINGS_MODULE": "hpns.settings", **self.settings})
        limit = time.monotonic() + 60
        while child.poll() is None:
            time.sleep(0.05)
            if time.monotonic() > limit:
                child.kill()
        if child.poll():
            raise ProblemError(f"{name} failed: {end_of(child.spec.log)}")

    def _first_push(self, limit: float) -> None:
        """Wait until a push for each provider is answered OK: then the news of the apps is everywhere."""
        for provider in PROVIDERS:
            random_ = random.Random(0)  # noqa: S311 - any push will do
            body = json.dumps(json.loads(bodies.push(random_, provider)))
            status, answer = 0, None
            while not (status == 200 and isinstance(answer, dict) and answer.get("status") == "OK"):
                if time.monotonic() > limit:
                    raise ProblemError(f"The first push got the answer {status} {answer}; {self._log()}")
                self._alive(self._child, limit)
                status, answer = request("POST", self.port, f"{self.prefix}/api/v1/send_push", body)

    def rows(self) -> int:
        """How many pushes the delivery log holds by now. Raises psycopg's errors."""
        with psycopg.connect(self.settings["DATABASE_URL"]) as connection:
            found = connection.execute("SELECT coalesce(sum(count), 0)::bigint FROM delivery_delivery").fetchone()
        return int(found[0]) if found else 0

    def _log(self) -> str:
        """The last lines of the worker's log."""
        return end_of(self._home / "logs" / "worker-1.log")

    def _alive(self, child: Child | None, limit: float) -> None:
        if child is None or child.poll() is not None or time.monotonic() > limit:
            raise ProblemError(f"The service does not start: {end_of(self._folder.logs / 'service.log')}")
        time.sleep(0.1)

    def _run(self, name: str, *arguments: str, env: dict[str, str]) -> Child:
        log = self._folder.logs / f"{name}.log"
        log.unlink(missing_ok=True)
        return Child(Spec(name=name, command=[self._python, "-m", *arguments], env=env, log=log, cwd=self.root))


def exported(text: str) -> dict[str, str]:
    """The variables that lines of `export NAME=VALUE` for a shell set."""
    arguments = shlex.split(text)
    return dict(argument.split("=", 1) for argument in arguments if argument != "export")
