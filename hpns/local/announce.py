"""Output of bin/run: lines at the terminal, and the same in run.json for scripts and for the sandbox's page.

Invariant: a terminal that is gone does not stop the service.
"""

import json
import os
import shlex
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hpns.local import demo_licences, first_push
from hpns.local.demo_names import CUSTOMER, PASSWORD, STAFF
from hpns.local.folder import Folder
from hpns.local.mattermost_site import Installation
from hpns.local.supervisor import Supervisor

RUN_FILE = "run.json"


def print_line(line: str, *, error: bool = False) -> None:
    """Print one line to the terminal."""
    try:
        print(line, file=sys.stderr if error else sys.stdout, flush=True)
    except OSError:
        pass  # nobody reads it any more; the logs have what matters


def remove_run_file(run_file: Path, guard: int) -> None:
    """Remove the run.json of a supervisor below `guard` that was killed, and none of anybody else."""
    try:
        run = json.loads(run_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    if run["processes"]["guard"] == guard:
        run_file.unlink()


@dataclass(frozen=True)
class RunInfo:
    """Addresses, ports and files of a running service. `ports` by name: "front door", "sandbox" and "phone"."""

    folder: Folder
    supervisor: Supervisor
    ports: dict[str, int]
    demo_key: str
    own_key: str
    env_file: Path
    installation: Installation | None = None
    tls: bool = False

    @property
    def base_url(self) -> str:
        """The URL of the web server."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.ports['front door']}"

    @property
    def push_url(self) -> str:
        """Where the demo's server sends its pushes."""
        return f"{self.base_url}/t/{self.demo_key}"

    @property
    def own_url(self) -> str:
        """The value of the setting Push Notification Server of a Mattermost of one's own."""
        return f"{self.base_url}/t/{self.own_key}"

    @property
    def pages(self) -> dict[str, str]:
        """What can be opened in a browser."""
        pages = {
            "customer": f"{self.base_url}/c/{CUSTOMER.lower()}/",
            "admin": f"{self.base_url}/admin/",
            "metrics": f"{self.base_url}/metrics",
            "health": f"{self.base_url}/health/ready",
        }
        if "phone" in self.ports:
            pages = {"phone": f"http://127.0.0.1:{self.ports['phone']}/", **pages}
        return pages

    @cached_property
    def curl(self) -> str:
        """A command that sends a push; made once, so that what is printed is what is written."""
        # A proxy of the machine knows nothing of our loopback address.
        proxied = any(os.environ.get(name) for name in ("http_proxy", "all_proxy", "ALL_PROXY"))
        no_proxy = ["--noproxy", "*"] if proxied else []
        push = json.dumps(first_push.push("alice: Lunch at noon?", self.installation))
        insecure = ["--insecure"] if self.tls else []  # a certificate for another name
        return shlex.join(["curl", *no_proxy, *insecure, "-d", push, f"{self.push_url}/api/v1/send_push"])

    def write(self) -> None:
        """Write run.json, readable by its owner alone."""
        self.folder.write(
            RUN_FILE,
            {
                "push_url": self.push_url,
                "own_url": self.own_url,
                "pages": self.pages,
                "processes": {"guard": os.getppid(), "supervisor": os.getpid(), **self.supervisor.pids},
                "ports": {**self.ports, **self.folder.read("ports.json")},
                "demo_key": self.demo_key,
                "staff": {"user": STAFF, "password": self.folder.read("secrets.json")[PASSWORD]},
                "curl": self.curl,
                "licences": str(demo_licences.folder(self.folder.path)),
                "logs": str(self.folder.logs),
                "env": str(self.env_file),
            },
        )

    def print_summary(self) -> None:
        """Print the summary for a person."""
        password = self.folder.read("secrets.json")[PASSWORD]
        processes = ", ".join(f"{name} {pid}" for name, pid in self.supervisor.pids.items())
        lines = ["", f"  Running     {processes}"]
        lines += [f"  {name.capitalize():<11} {address}" for name, address in self.pages.items()]
        lines += [
            f"  Staff       {STAFF}, password {password} (the first login sets up a second factor)",
            f"  Mail        {self.folder.path / 'mail'}, a file for each e-mail",
            f"  Licences    {demo_licences.folder(self.folder.path)}, files to try on the customer's page Licence",
            f"  Logs        {self.folder.logs}",
            f"  manage.py   . {self.env_file} && .venv/bin/python manage.py",
            "",
            *self._next_step(),
            "",
            "  Ctrl-C stops everything.",
        ]
        for line in lines:
            print_line(line)

    def _next_step(self) -> list[str]:
        """What to try now. The demo customer's apps reach the sandbox's phones and no real ones."""
        if "phone" not in self.ports:
            return ["  To reach real phones add your apps and keys: docs/APPS_AND_KEYS.md."]
        return [
            "  In Mattermost: System Console, Environment, Push Notification Server, enter manually:",
            f"  {self.own_url}",
            "",
            "  Send a push yourself, as the demo's server does:",
            f"  {self.curl}",
        ]
