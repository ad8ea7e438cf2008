"""The health checks of containers: healthy only when the part does its work, else one line that says what is wrong."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.hpns.web_server import Server, Stores
from tests.stage import ROOT, free_port
from tests.waiting import PATIENCE


def health(stores: Stores, *arguments: str, settings: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a check; its exit code and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "hpns.health", *arguments],
        cwd=ROOT,
        env={**stores.env, **(settings or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


def test_a_front_door_without_workers_is_not_healthy(web: Server) -> None:
    code, text = health(web.stores, "web", "--port", str(web.port))
    assert (code, text) == (1, "no worker is running: pushes would wait in the queue")


def test_a_port_where_nobody_listens_is_not_healthy(stores: Stores) -> None:
    code, text = health(stores, "web", "--port", str(free_port()))
    assert (code, "does not answer" in text) == (1, True)


def test_a_worker_is_healthy_while_it_has_its_lease(stores: Stores, tmp_path: Path) -> None:
    env = {**stores.env, "REDIS_URL": stores.env["REDIS_URL"].removesuffix("/0") + "/3"}
    assert health(stores, "worker", settings=env) == (1, "no worker of this host has renewed its lease")
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen([sys.executable, "-m", "hpns.worker"], cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        end = time.monotonic() + PATIENCE
        while health(stores, "worker", settings=env) != (0, "healthy"):
            assert time.monotonic() < end, (tmp_path / "worker.log").read_text()
    finally:
        worker.kill()
        worker.wait()


def test_the_timetable_is_healthy_while_its_file_is_written(stores: Stores, tmp_path: Path) -> None:
    file = tmp_path / "beat"
    assert health(stores, "beat", str(file)) == (1, f"there is no {file}")
    file.with_suffix(".db").touch()
    assert health(stores, "beat", str(file)) == (0, "healthy")
    long_ago = time.time() - 1000
    os.utime(file.with_suffix(".db"), (long_ago, long_ago))
    code, text = health(stores, "beat", str(file))
    assert (code, text.startswith(f"{file} was last written 100")) == (1, True)
