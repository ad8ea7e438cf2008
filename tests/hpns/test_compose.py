"""docker-compose.yml and the image: what docker-compose itself says, and what must hold of each service."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hpns import ingest
from hpns.celery.pool import DRAIN_SECONDS
from hpns.web import draining
from hpns.web.page_spool import FILES_MAX
from tests.required_programs import program
from tests.stage import ROOT

FILE = "docker-compose.yml"
TEXT = (ROOT / FILE).read_text(encoding="utf-8")
OURS = ("web", "worker", "beat", "migrate")
NEEDED = {"ALLOWED_HOSTS": "push.example.com"}
# Version 1 prints YAML alone. It is a program in Python itself, whose own interpreter can read that.
AS_JSON = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"


def config(folder: Path, text: str, environment: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """What `docker-compose config` makes of a file, which needs no engine: the resolved file, and its complaints."""
    compose = program("DOCKER_COMPOSE")
    (folder / FILE).write_text(text, encoding="utf-8")
    command = [compose, "--project-directory", str(folder), "-f", str(folder / FILE), "config"]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), **environment}
    first_line = Path(compose).read_bytes()[:200].partition(b"\n")[0]
    if not first_line.startswith(b"#!"):  # version 2 is a binary
        command += ["--format", "json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        return {}, done.stderr
    rendered = done.stdout
    if first_line.startswith(b"#!"):
        read = [*first_line[2:].decode().split(), "-c", AS_JSON]
        rendered = subprocess.run(read, input=rendered, capture_output=True, text=True, check=True, timeout=60).stdout
    found: dict[str, Any] = json.loads(rendered)
    return found, ""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The services of our file as docker-compose understands them."""
    found, complaints = config(tmp_path_factory.mktemp("compose"), TEXT, NEEDED)
    assert complaints == ""
    services: dict[str, Any] = found["services"]
    return services


def test_what_dot_env_sets_is_handed_on(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ALLOWED_HOSTS=push.example.com\nPUSH_DEADLINE=3\nPORT=8443\n", encoding="utf-8")
    found, complaints = config(tmp_path, TEXT, {})
    assert complaints == ""
    web = found["services"]["web"]
    assert web["environment"]["ALLOWED_HOSTS"] == "push.example.com"
    assert str(web["environment"]["PUSH_DEADLINE"]) == "3"
    assert "8443" in str(web["ports"])


def test_docker_compose_says_what_is_missing_and_what_is_wrong(tmp_path: Path) -> None:
    """The guard of the tests here: docker-compose can refuse."""
    assert "Set ALLOWED_HOSTS in .env" in config(tmp_path, TEXT, {})[1]
    assert "cap_dorp" in config(tmp_path, TEXT.replace("cap_drop: [ALL]", "cap_dorp: [ALL]"), NEEDED)[1]


def mounted(volume: str | dict[str, Any]) -> tuple[str, bool]:
    """What is mounted, and whether read-only, in the words of version 1 or 2."""
    if isinstance(volume, dict):
        return volume["source"], volume.get("read_only", False)
    return volume.partition(":")[0], volume.endswith(":ro")


def test_no_service_runs_as_root_or_can_become_it_or_can_write_where_it_need_not(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["user"] not in ("", "0", "root", 0), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        for volume in service["volumes"]:
            source, read_only = mounted(volume)
            assert read_only or not source.startswith(("/", ".")), f"{name} could write to {source}"


def in_bytes(size: str | int) -> int:
    """A size in the words of version 1 ("64m") or 2 (a number)."""
    text = str(size)
    return int(text[:-1]) * {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[text[-1]] if text[-1] in "kmg" else int(text)


def temporary(service: dict[str, Any]) -> dict[str, int]:
    """The folders of a service that are memory, and how large each may become."""
    folders = {}
    for entry in service["tmpfs"]:
        folder, _, options = entry.partition(":")
        sizes = [option.partition("=")[2] for option in options.split(",") if option.startswith("size=")]
        assert sizes, f"{folder} may grow without end"
        folders[folder] = in_bytes(sizes[0])
    return folders


def test_no_service_can_take_all_memory_of_the_machine(services: dict[str, Any]) -> None:
    for name, service in services.items():
        folders = temporary(service)
        assert "/tmp" in folders, name  # noqa: S108
        assert in_bytes(service["mem_limit"]) > 2 * sum(folders.values()), name
    # What is bounded by the programs themselves comes before the kernel's bound, by which they would be killed.
    assert temporary(services["web"])["/tmp"] > FILES_MAX  # noqa: S108
    (maxmemory,) = re.findall(r"maxmemory (\d+)gb", TEXT)
    assert in_bytes(services["valkey"]["mem_limit"]) > 2 * int(maxmemory) << 30


def test_every_service_that_stays_is_restarted_and_has_a_health_check_and_time_to_stop(
    services: dict[str, Any],
) -> None:
    for name, service in services.items():
        if name != "migrate":
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"], name
            assert "stop_grace_period" in service, name
    assert services["migrate"]["restart"] == "no"
    for name in ("web", "worker", "beat"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_the_engine_waits_longer_than_what_was_accepted_takes(services: dict[str, Any]) -> None:
    def seconds(name: str) -> float:
        return float(services[name]["stop_grace_period"].removesuffix("s"))

    assert seconds("web") > 5.0 + ingest.DRAIN_TIMEOUT > 5.0 + draining.STOPPED_SECONDS
    assert seconds("worker") > DRAIN_SECONDS + 5


def test_our_services_are_all_of_one_image_and_call_the_script_that_any_server_calls(services: dict[str, Any]) -> None:
    verbs = set(re.findall(r"^    (\w+)\)", (ROOT / "bin/serve").read_text(encoding="utf-8"), re.MULTILINE))
    assert {service["image"] for name, service in services.items() if name in OURS} == {"hpns:latest"}
    assert {name for name, service in services.items() if "build" in service} == set(OURS)
    for name in OURS:
        assert services[name]["command"][0] in verbs
        if "healthcheck" in services[name]:
            assert services[name]["healthcheck"]["test"][:3] == ["CMD", "bin/serve", "health"]
    assert 'ENTRYPOINT ["bin/serve"]' in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_images_are_pinned_by_their_tags(services: dict[str, Any]) -> None:
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    theirs = [service["image"] for service in services.values() if "build" not in service]
    assert len(bases) == 1
    for image in bases + theirs:
        assert re.search(r":\d+\.?\d*-\w+", image), image


def let_in() -> set[str]:
    """What .dockerignore lets into the image: everything else stays out."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert patterns[0] == "*"
    return {line[1:] for line in patterns if line.startswith("!")}


def test_the_image_has_no_secret_and_its_files_belong_to_root() -> None:
    assert let_in().isdisjoint({".env", "secrets", "tls", ".state", ".git", "tests", "."})
    recipe = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert not re.search(r"^(ARG|ENV .*(KEY|SECRET|PASSWORD|TOKEN|URL))", recipe, re.MULTILINE)
    assert recipe.index("USER hpns") > recipe.index("COPY . .")
    assert "--chown" not in recipe


def test_what_gets_into_the_image_is_enough_to_start(tmp_path: Path) -> None:
    for name in let_in():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name)
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    # The script looks at each of its lock files before it starts anything.
    for lock in re.findall(r"[\w-]+\.lock", (tmp_path / "bin/serve").read_text(encoding="utf-8")):
        assert (tmp_path / lock).exists()
    text = (
        "import hpns.asgi, hpns.pages_process, hpns.worker, hpns.health, hpns.ingest, manage; print(hpns.asgi.__file__)"
    )
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=tmp_path,
        env={**env, "DJANGO_SETTINGS_MODULE": "hpns.settings"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "hpns/asgi.py")


def test_the_secrets_are_made_once_and_each_fits_what_reads_it(tmp_path: Path, services: dict[str, Any]) -> None:
    folder = tmp_path / "secrets"
    for _ in range(2):
        done = subprocess.run([ROOT / "bin/secrets", folder], capture_output=True, text=True, check=True, timeout=60)
    assert set(re.findall(r"^(\w+)", done.stdout, re.MULTILINE)) == {"kept"}
    made = {path.name: path.read_text(encoding="ascii").strip() for path in folder.iterdir()}
    wanted = {secret["source"] for service in services.values() for secret in service["secrets"]}
    assert set(made) == wanted
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX") if name in os.environ}
    files = {f"{name.upper()}_FILE": str(folder / name) for name in wanted if not name.endswith("_password")}
    done = subprocess.run(
        [ROOT / "bin/serve", "manage", "check", "--tag", "security"],
        env={**kept, "READ_DOT_ENV": "false", **NEEDED, **files},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert made["postgres_password"] in made["database_url"]
    assert made["valkey_password"] in made["redis_url"]


def test_the_container_that_strangers_reach_has_no_password_of_the_tables_owner(services: dict[str, Any]) -> None:
    for name in OURS:
        sources = {secret["source"] for secret in services[name]["secrets"]}
        assert ("database_url" in sources) == (name != "web"), name
        assert ("DATABASE_URL_FILE" in services[name]["environment"]) == (name != "web"), name
        assert ("worker_database_url" in sources) == (name != "web"), name
        assert {"pages_database_url", "directory_database_url"} <= sources
