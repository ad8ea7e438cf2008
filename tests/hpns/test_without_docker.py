"""The way without Docker: secrets for this machine, unit files that start what there is, settings from `.env`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hpns.local import run
from hpns.local.account import for_servers
from hpns.local.folder import Folder, free
from hpns.local.problem import ProblemError
from hpns.local.run import Start
from tests.hpns.checks.test_starting import SET_UP

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "docs" / "systemd").glob("*.service"))


def test_secrets_without_docker_name_this_machines_stores(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    command = [str(ROOT / "bin" / "secrets"), "--without-docker", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    for name in ("database_url", "pages_database_url", "worker_database_url", "directory_database_url"):
        assert (folder / name).read_text().strip().endswith("@127.0.0.1:5432/hpns")
    assert (folder / "redis_url").read_text().strip().endswith("@127.0.0.1:6379/0")


def test_the_front_door_listens_where_the_env_file_says(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HOST=0.0.0.0\nPORT=8123\nINGEST_WORKERS=3\n", encoding="utf-8")
    code = (
        "from pathlib import Path; from hpns import variables\n"
        "theirs = variables.Variables.read_env\n"
        f"variables.Variables.read_env = lambda path: theirs(Path({str(tmp_path)!r}) / path.name)\n"
        "from hpns import ingest; print(*vars(ingest.parse([])).values())"
    )
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **SET_UP}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "0.0.0.0 8123 3\n", done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_unit_file_starts_a_part_that_there_is(unit: Path) -> None:
    [part] = re.findall(r"^ExecStart=/opt/hpns/bin/serve (\w+)", unit.read_text(), re.MULTILINE)
    assert re.search(rf"^    {part}\) start ", (ROOT / "bin" / "serve").read_text(), re.MULTILINE)
    steps = (ROOT / "docs" / "OPERATIONS.md").read_text()
    assert f"docs/systemd/{unit.name}" in steps or "docs/systemd/*.service" in steps


def test_there_is_a_unit_file_for_each_part_that_runs_on() -> None:
    assert [unit.name for unit in UNITS] == ["hpns-beat.service", "hpns-web.service", "hpns-worker@.service"]


def test_the_phone_pages_port_can_be_chosen_and_is_not_replaced_silently(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "state", for_servers())
    wanted = folder.port("anything")

    def chosen(*arguments: str) -> int:
        start = Start(run.parse(list(arguments)), folder, None, 0.0)  # type: ignore[arg-type]  nothing is started
        return start._phone_port()

    assert chosen("--phone-port", str(wanted)) == wanted
    assert free(chosen())
    with pytest.raises(ProblemError, match="--phone-port"):
        chosen("--phone-port", str(wanted), "--port", str(wanted))
