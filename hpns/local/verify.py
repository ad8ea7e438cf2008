"""Every check of the project, on real PostgreSQL and Valkey; bin/test is its only caller.

Invariant: a step that fails, or could not run, makes the exit code 1 and is named in the last lines; later steps run
all the same, so that one run shows everything.
"""

import base64
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpns.local import programs, services
from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.guard import guarded
from hpns.local.problem import ProblemError
from hpns.local.process import Child, Spec
from hpns.local.supervisor import StoppedError, Supervisor

ROOT = Path(__file__).resolve().parent.parent.parent
# Twice as many as two cores: many tests wait for a while, for a deadline or a lease; with more, services of tests that
# wait for nothing are held up beyond their leases and deadlines.
PROCESSES = "4"

# A quick check: its name, its command, what its environment has besides ours.
Step = tuple[str, list[str], Mapping[str, str]]
# How many of them at a time: each uses one core. Seconds that one may take.
AT_ONCE, LONGEST = 2, 600.0


@dataclass
class Report:
    """What was run, how long it took, what failed."""

    failed: list[str] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)

    def step(self, name: str, code: int, seconds: float) -> None:
        """Print and keep the result of one step."""
        print(f"{'ok  ' if code == 0 else 'FAIL'} {seconds:6.1f} s  {name}", flush=True)
        if code:
            self.failed.append(name)

    def close(self) -> int:
        """Print the last line; the exit code of it all."""
        seconds = time.monotonic() - self.since
        if self.failed:
            print(f"FAILED after {seconds:.0f} s: {', '.join(self.failed)}")
            return 1
        print(f"All passed in {seconds:.0f} s.")
        return 0


def deployment() -> dict[str, str]:
    """An environment as a careful operator would set it, for check --deploy; secrets are made up each time."""

    def key() -> str:
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()

    return {
        "READ_DOT_ENV": "false",
        "DEBUG": "false",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "VAULT_KEYS": f"k1:{key()}",
        "HASH_KEY": key(),
        "ALLOWED_HOSTS": "push.example.com",
        "CSRF_TRUSTED_ORIGINS": "https://push.example.com",
        "PUBLIC_URL": "https://push.example.com",
        "EMAIL_URL": f"smtp+tls://hpns:{secrets.token_urlsafe(12)}@mail.example.com:587",
        "DEFAULT_FROM_EMAIL": "push@example.com",
        "OPERATOR_EMAIL": "ops@example.com",
        "SUPPORT_CONTACT": "support@example.com",
        "TRUSTED_PROXIES": "10.0.0.0/8",
        "METRICS_DIR": "/var/tmp/hpns/metrics",  # noqa: S108  it is only looked at
        "METRICS_TOKEN": secrets.token_urlsafe(24),
        "CANARY_DEVICES": f"apple_rn-v2:{secrets.token_hex(32)}",
        "PAGES_DATABASE_URL": f"postgresql://pages:{secrets.token_urlsafe(16)}@127.0.0.1/hpns",
        "WORKER_DATABASE_URL": f"postgresql://worker:{secrets.token_urlsafe(16)}@127.0.0.1/hpns",
        "DIRECTORY_DATABASE_URL": f"postgresql://directory:{secrets.token_urlsafe(16)}@127.0.0.1/hpns",
    }


def steps() -> list[Step]:
    """The quick checks, the slowest first: while it runs beside the tests, the processor is never idle."""
    python, scripts = sys.executable, Path(sys.executable).parent
    manage = [python, "manage.py"]
    return [
        ("mypy", [python, "-m", "mypy"], {}),
        ("ruff check", [python, "-m", "ruff", "check", "."], {}),
        ("ruff format", [python, "-m", "ruff", "format", "--check", "."], {}),
        ("import-linter", [str(scripts / "lint-imports")], {}),
        ("makemigrations --check", [*manage, "makemigrations", "--check", "--dry-run"], deployment()),
        ("check --deploy", [*manage, "check", "--deploy", "--fail-level", "WARNING"], deployment()),
    ]


class Checks:
    """The quick checks: AT_ONCE of them run at a time; what one prints is shown only when it fails."""

    def __init__(
        self, checks: Sequence[Step], supervisor: Supervisor, folder: Folder, urls: Mapping[str, str], report: Report
    ) -> None:
        self._supervisor, self._report = supervisor, report
        self._waiting = [
            Spec(
                name=name,
                command=command,
                env={**os.environ, **urls, **environment},
                log=folder.logs / f"{name.replace(' ', '')}.log",
                cwd=ROOT,
            )
            for name, command, environment in checks
        ]
        self._running: list[Child] = []

    def run(self, *, leave: int) -> None:
        """Run them until `leave` still run. Raises StoppedError, and ProblemError for one that does not end."""
        while self._waiting or len(self._running) > leave:
            while self._waiting and len(self._running) < AT_ONCE:
                self._running.append(Child(self._waiting.pop(0)))
            if not self._supervisor.until(lambda: any(child.poll() is not None for child in self._running), LONGEST):
                raise ProblemError(f"{self._running[0].spec.name} has not ended within {LONGEST:.0f} s.")
            for child in [child for child in self._running if child.poll() is not None]:
                self._running.remove(child)
                code = child.poll() or 0
                if code:
                    print(child.spec.log.read_text(encoding="utf-8", errors="replace"), flush=True)
                self._report.step(child.spec.name, code, time.monotonic() - child.started)

    def close(self) -> None:
        """End those that run."""
        for child in self._running:
            child.kill()


def everything(supervisor: Supervisor, folder: Folder, report: Report) -> None:
    """Run all steps; stops early only when a stop is requested."""
    since = time.monotonic()
    found = programs.provide(folder.logs / "apt.log", print)
    enough = programs.are_enough(found, ci=bool(os.environ.get("CI")))
    report.step("programs for the tests", int(not enough), time.monotonic() - since)
    since = time.monotonic()
    urls = services.start(supervisor, folder, fast=True)
    report.step("start PostgreSQL and Valkey", 0, time.monotonic() - since)
    checks = Checks(steps(), supervisor, folder, urls, report)
    try:
        checks.run(leave=1)
        since = time.monotonic()
        # -rs: what was not run is said, with its reason. Many tests wait for something, so that several processes are
        # quicker even on few cores; tests/schedule.py says which of them stay together, and in which order they come.
        command = [sys.executable, "-m", "pytest", "-rs", "-p", "tests.forks", "--forks", PROCESSES, "--durations=20"]
        code = supervisor.foreground(command, {**os.environ, **urls, **found}, signal.SIGINT)
        report.step("pytest", code, time.monotonic() - since)
        if not supervisor.stop_requests:
            checks.run(leave=0)
    finally:
        checks.close()


def only(arguments: list[str], supervisor: Supervisor, folder: Folder, report: Report) -> None:
    """Pytest alone, with the caller's arguments."""
    urls = services.start(supervisor, folder, fast=True)
    since = time.monotonic()
    code = supervisor.foreground(
        [sys.executable, "-m", "pytest", *arguments], {**os.environ, **urls, **programs.find()}, signal.SIGINT
    )
    report.step("pytest", code, time.monotonic() - since)


def verify(arguments: list[str]) -> int:
    """0 when everything passed, 1 otherwise, 130 when stopped."""
    report = Report()
    if not arguments:
        os.chdir(ROOT)
    try:
        with tempfile.TemporaryDirectory(prefix="hpns-test-") as path:
            folder = Folder(Path(path), for_servers())
            folder.lock()
            with Supervisor(folder, print) as supervisor:
                if arguments:
                    only(arguments, supervisor, folder, report)
                else:
                    everything(supervisor, folder, report)
                if supervisor.stop_requests:
                    raise StoppedError
    except ProblemError as problem:
        print(problem, file=sys.stderr)
        return 1
    except StoppedError:
        print("Stopped.", file=sys.stderr)
        return 130
    return report.close()


if __name__ == "__main__":
    sys.exit(guarded(lambda: verify(sys.argv[1:]), at_terminal=True))
