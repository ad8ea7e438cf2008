"""Programs that are loaded before they are begun: what has happened by then, and what a copy makes of it."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpns import preload
from hpns.local import verify
from tests.hpns.web_server import Server, Stores
from tests.waiting import PATIENCE, wait_for

ROOT = Path(__file__).resolve().parents[2]
# Read while a program is loaded though the environment decides them: the databases, the role and logging are read anew
# by every copy, a signal's receiver is checked where DEBUG is on, and Celery's broker is one for all children of the
# web server.
READ_ANEW = {"CELERY_BROKER_URL", "DATABASES", "DATABASE_ROLE", "DEBUG", "LOGGING"}
# What logging keeps out of its lines; read anew with it.
KEPT_OUT = {"EMAIL_URL", "HASH_KEY", "HTTPS_PROXY", "METRICS_TOKEN", "REDIS_URL", "SECRET_KEY", "VAULT_KEYS"}


def run(code: str, **more: str) -> list[str]:
    """Run a program in the environment of a deployment; the lines that it prints."""
    wanted = ("PATH", "REDIS_URL", "PYTHONPYCACHEPREFIX")
    env = {**verify.deployment(), **{name: os.environ[name] for name in wanted if name in os.environ}}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**env, "DJANGO_SETTINGS_MODULE": "hpns.settings", "READ_DOT_ENV": "false", **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def decided_by_the_environment() -> set[str]:
    """The settings whose values come out of variables, or out of settings that do."""
    sources, found = {"env", "secret"}, set[str]()
    for statement in ast.parse((ROOT / "hpns/settings.py").read_text(encoding="utf-8")).body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        read = {each.id for each in ast.walk(statement.value) if isinstance(each, ast.Name)}
        names = {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
        if read & (sources | found) and "env" not in names:
            found |= names
    return found


def test_what_is_loaded_has_one_thread_no_connection_and_no_setting_of_the_environment() -> None:
    threads, sockets, connections, read = json.loads(
        run(
            "import json, os, sys\nfrom hpns import preload\npreload.load(*preload.WEB)\n"
            "from django.conf import settings\nfrom django.db import connections\n"
            "links = [os.readlink(f'/proc/self/fd/{each}') for each in os.listdir('/proc/self/fd') if int(each) > 2"
            " and os.path.exists(f'/proc/self/fd/{each}')]\n"
            "opened = [each.alias for each in connections.all(initialized_only=True) if each.connection]\n"
            "print(json.dumps([len(os.listdir('/proc/self/task')), links, opened, sorted(vars(settings))]))"
        )[-1]
    )
    assert (threads, sockets, connections) == (1, [], [])
    by_environment = decided_by_the_environment()
    assert {"DATABASE_URL", "VAULT_KEYS", "PUSH_DEADLINE", "FRONT_DOOR"} <= by_environment
    urls = {name for name in by_environment if name.endswith("DATABASE_URL")}
    assert (set(read) & by_environment) - urls <= READ_ANEW | KEPT_OUT


@pytest.mark.parametrize(("module", "user"), [("hpns.asgi", "directory"), ("hpns.pages_process", "pages")])
def test_a_copy_is_its_program_under_the_settings_of_its_own_environment(module: str, user: str) -> None:
    urls = {
        f"{name}DATABASE_URL": f"postgresql://{name.strip('_').lower() or 'hpns'}:x@127.0.0.1/hpns"
        for name in ("", "PAGES_", "WORKER_", "DIRECTORY_")
    }
    code = (
        "import os, sys\nfrom hpns import preload\nos.environ['DATABASE_ROLE'] = 'web'\npreload.load(*preload.WEB)\n"
        "from django.conf import settings\nfrom django.db import connections\nfrom hpns.logs import setup\n"
        "assert settings.PUSH_DEADLINE == 5.0\n"
        "def main():\n"
        "    print(connections['default'].settings_dict['USER'], settings.DATABASES['default']['USER'],"
        " settings.PUSH_DEADLINE, setup.role(), sys.argv[1:])\n"
        f"sys.modules['{module}'].main = main\n"
        "os.environ['PUSH_DEADLINE'] = '6'\n"
        f"print(preload.launch([sys.executable, '-m', '{module}', '--control', '7'], []).wait())\n"
        "print(os.environ['DATABASE_ROLE'], settings.PUSH_DEADLINE)"
    )
    role = {"hpns.asgi": "ingest"}.get(module, "pages_process")
    assert run(code, **urls) == [f"{user} {user} 6.0 {role} ['--control', '7']", "0", "web 5.0"]


def test_the_children_of_the_web_server_find_no_way_to_the_owner_or_the_worker_in_their_memory(stores: Stores) -> None:
    marks = {"DATABASE_URL": "the-owners-alone", "WORKER_DATABASE_URL": "the-workers-alone"}
    urls = {name: f"{stores.env[name]}?application_name={mark}" for name, mark in marks.items()}
    server = Server(stores, {**urls, "SUPPORT_CONTACT": "somebody-to-ask"})
    try:
        wait_for(server.pages_processes, PATIENCE, "there is a pages process")
        processes = [*server.processes(), *server.pages_processes()]
        assert len(processes) == 2
        for process in processes:
            found = {word for word in (*marks.values(), "somebody-to-ask") if holds(process, word.encode())}
            assert found == {"somebody-to-ask"}
    finally:
        server.close()


def holds(process: int, word: bytes) -> bool:
    """Whether these bytes stand anywhere in what a process may write to."""
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text(encoding="utf-8").splitlines():
            where, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            begin, end = (int(part, 16) for part in where.split("-"))
            memory.seek(begin)
            if word in memory.read(end - begin):
                return True
    return False


def test_copies_share_what_their_parent_has_loaded(web: Server) -> None:
    (process,) = web.processes()
    text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8")
    sizes = {line.split()[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
    assert sizes["Shared_Dirty:"] > 30 * 1024, "kilobytes; all of it is a process's own that was not copied"
    assert preload.WEB[0] in Path(f"/proc/{process}/cmdline").read_text(encoding="utf-8")
