"""bin/run: the whole service on this machine, up to a first push that was delivered, until it is asked to stop.

Invariants: `run.json` is in the state folder exactly while the service is ready. Everything listens on the loopback
address. Whatever goes wrong at the start ends in one message that says what to do, with nothing left running.
"""

import argparse
import os
import resource
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from delivery.sandbox import certificates
from delivery.sandbox import demo as sandbox_credentials
from hpns.local import announce, demo_names, first_push, mattermost_site, ready, services, surroundings
from hpns.local.account import for_servers
from hpns.local.folder import Folder, free, why
from hpns.local.guard import guarded
from hpns.local.problem import ProblemError
from hpns.local.process import Spec
from hpns.local.supervisor import StoppedError, Supervisor

PORT = 8066
# Where the phone page is looked for; another one where this is taken.
PHONE_PORT = 8067
ROOT = Path(__file__).resolve().parent.parent.parent


def count(text: str) -> int:
    """A number of processes from the command line."""
    number = int(text)
    if not 1 <= number <= 64:
        raise argparse.ArgumentTypeError("between 1 and 64")
    return number


def port_number(text: str) -> int:
    """A port from the command line."""
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError("between 1 and 65535")
    return number


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bin/run",
        description="Runs the whole service on this machine, with a demo customer and a stand-in for Apple and Google.",
        epilog="DATABASE_URL and REDIS_URL name servers of your own; without them PostgreSQL and Valkey are started.",
    )
    parser.add_argument("--port", type=port_number, default=PORT, help="the front door (default: %(default)s)")
    parser.add_argument(
        "--state", type=Path, default=ROOT / ".state", help="where everything is kept (default: .state)"
    )
    parser.add_argument("--ingest", type=count, default=1, metavar="N", help="web processes (default: %(default)s)")
    parser.add_argument("--workers", type=count, default=1, metavar="N", help="workers (default: %(default)s)")
    parser.add_argument(
        "--phone-port",
        type=port_number,
        help=f"the phone page (default: that of the last start, at first {PHONE_PORT})",
    )
    parser.add_argument("--no-sandbox", action="store_true", help="no stand-in for Apple and Google, no first push")
    return parser.parse_args(arguments)


@dataclass
class Start:
    """One start: the options, and what takes shape from them step by step."""

    options: argparse.Namespace
    folder: Folder
    supervisor: Supervisor
    since: float

    def print_line(self, line: str) -> None:
        """A line of progress with the seconds since the start."""
        announce.print_line(f"{time.monotonic() - self.since:6.1f} s  {line}")

    def up(self) -> None:
        """Bring everything up, send the first push, print the summary. Raises ProblemError, StoppedError."""
        environment = surroundings.settings(self.folder, self._stores(), self.options.port)
        credentials: list[str] = []
        installation: mattermost_site.Installation | None = None
        ports = {"front door": self.options.port}
        if not self.options.no_sandbox:
            ports |= {"sandbox": self.folder.port("sandbox"), "phone": self._phone_port()}
            environment, credentials = self._sandbox(environment, ports["sandbox"], ports["phone"])
            installation, address = self._site(environment)
            credentials.append(address)
        metrics = Path(environment["METRICS_DIR"])
        shutil.rmtree(metrics, ignore_errors=True)  # counters of processes that are gone
        metrics.mkdir(parents=True)
        env_file = surroundings.write(self.folder, environment)
        self._prepare(environment, credentials)
        self._service(environment)
        tls = ready.wait(self.supervisor, self.options.port)
        self.print_line("The service is ready.")
        kept = self.folder.read("secrets.json")
        demo_key, own_key = (str(kept[name]) for name in (demo_names.KEY, demo_names.OWN_KEY))
        if installation is not None:
            self.print_line(first_push.send(self.options.port, demo_key, ports["phone"], installation, tls=tls))
        self.supervisor.settled()
        run_info = announce.RunInfo(
            self.folder, self.supervisor, ports, demo_key, own_key, env_file, installation, tls=tls
        )
        self.supervisor.on_change = run_info.write
        run_info.write()
        run_info.print_summary()

    def _phone_port(self) -> int:
        """The port of the phone page. Raises ProblemError for one that was asked for and is in use."""
        wanted: int | None = self.options.phone_port
        if wanted is None:
            return self.folder.port("phone", PHONE_PORT)
        if wanted == self.options.port or not free(wanted):
            raise ProblemError(f"Port {wanted} is in use: stop what listens there, or choose another --phone-port.")
        return wanted

    def _stores(self) -> dict[str, str]:
        urls = services.start(self.supervisor, self.folder)
        self.print_line("PostgreSQL and Valkey are up.")
        return urls

    def _sandbox(self, environment: dict[str, str], port: int, page_port: int) -> tuple[dict[str, str], list[str]]:
        """Start the sandbox; returns the environment that leads to it, and the credentials that it takes."""
        home = self.folder.path / "sandbox"
        environment = surroundings.at_the_sandbox(environment, port, home / "ca.pem")
        environment["SANDBOX_URL"] = f"http://127.0.0.1:{page_port}/"
        # Here, not by the sandbox alone: the site has its certificate from the same hand.
        certificates.ensure(home)
        made = sandbox_credentials.make(home / "credentials", environment["GOOGLE_TOKEN_ORIGIN"])
        self._python(
            "sandbox",
            *("delivery.sandbox", "--host", "127.0.0.1", "--port", str(port), "--page-port", str(page_port)),
            *("--state", str(home), "--accounts", str(made.accounts)),
            *("--run-file", str(self.folder.path / announce.RUN_FILE)),
            environment=environment,
        )
        return environment, [str(made.apns_key), str(made.service_account)]

    def _site(self, environment: dict[str, str]) -> tuple[mattermost_site.Installation, str]:
        """Start the Mattermost site of the demo's server; returns its installation, and its address."""
        home, port = self.folder.path / "site", self.folder.port("site")
        installation = mattermost_site.Installation.kept(home)
        arguments = ("--port", str(port), "--home", str(home), "--certificates", str(self.folder.path / "sandbox"))
        self._python("site", "hpns.local.mattermost_site", *arguments, environment=environment)
        return installation, f"https://localhost:{port}"

    def _prepare(self, environment: dict[str, str], credentials: list[str]) -> None:
        arguments = ["hpns.local.prepare", str(self.folder.path), *credentials]
        spec = self._spec("prepare", arguments, environment)
        spec.log.unlink(missing_ok=True)
        self.supervisor.succeed(spec, seconds=120)
        self.print_line("The database is ready, with a demo customer.")

    def _service(self, environment: dict[str, str]) -> None:
        beat = self.folder.path / "beat"
        beat.mkdir(exist_ok=True)
        self._python("beat", "hpns.beat", "-s", str(beat / "schedule"), environment=environment)
        for number in range(self.options.workers):
            self._python(f"worker-{number + 1}", "hpns.worker", environment=environment)
        arguments = ["--port", str(self.options.port), "--workers", str(self.options.ingest)]
        self._python("ingest", "hpns.ingest", *arguments, environment=environment)

    def _python(self, name: str, *arguments: str, environment: dict[str, str]) -> None:
        self.supervisor.start(self._spec(name, list(arguments), environment))

    def _spec(self, name: str, arguments: list[str], environment: dict[str, str]) -> Spec:
        return Spec(
            name=name,
            command=[sys.executable, "-m", *arguments],
            env=environment,
            log=self.folder.logs / f"{name}.log",
            cwd=ROOT,
            stop_seconds=15,  # above the deadline of a push in flight
        )


# What an earlier start leaves in its state folder, however early it ended.
OURS = ("lock", "logs", "secrets.json", "ports.json")


def refuse_foreign(path: Path) -> None:
    """Raise ProblemError for a folder with contents that are not a state folder's: its rights would be changed."""
    if path.is_dir() and any(path.iterdir()) and not any((path / name).exists() for name in OURS):
        raise ProblemError(f"The folder {path} holds something else. Name an empty one, or a new one, with --state.")


def serve(options: argparse.Namespace) -> int:
    """Run until asked to stop; the exit code."""
    try:
        refuse_foreign(options.state)
        folder = Folder(options.state, for_servers())
        folder.lock()
        run_file = folder.path / announce.RUN_FILE
        run_file.unlink(missing_ok=True)
        if not free(options.port):
            raise ProblemError(f"Port {options.port} is in use: stop what listens there, or choose one with --port.")
        folder.avoid.add(options.port)
        with Supervisor(folder, announce.print_line) as supervisor:
            try:
                Start(options, folder, supervisor, time.monotonic()).up()
                supervisor.watch()
            except StoppedError:
                pass
            finally:
                run_file.unlink(missing_ok=True)
                announce.print_line("Stopping; what was accepted is finished or kept.")
        announce.print_line("Stopped.")
    except ProblemError as problem:
        announce.print_line(str(problem), error=True)
        return 1
    except OSError as error:
        announce.print_line(f"Cannot write to {error.filename or options.state}: {why(error)}.", error=True)
        return 1
    return 0


def main() -> int:
    """The command; returns twice, see guard."""
    options = parse()
    # A front door holds a socket for each server that talks to it.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    run_file = options.state.resolve() / announce.RUN_FILE

    def killed() -> None:
        announce.remove_run_file(run_file, os.getpid())
        announce.print_line(
            "bin/run was killed; ending what it started. What was accepted is kept: start it again.", error=True
        )

    return guarded(lambda: serve(options), after_kill=killed)


if __name__ == "__main__":
    sys.exit(main())
