"""The whole service by one command: what it tells, how it ends, what it refuses. One start serves most of the tests."""

import http.cookiejar
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hpns.local.account import for_servers
from hpns.local.folder import Folder, free
from hpns.local.postgres import Postgres
from hpns.local.process import descendants, started_at
from hpns.local.valkey import Valkey
from tests import cluster
from tests.console import Console
from tests.hpns.local.running import ROOT, WAIT, Run, free_port, open_url, status_of
from tests.required_programs import program
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def started() -> Iterator[Run]:
    """The service, started once; ask for `service` instead."""
    path = Path(tempfile.mkdtemp(prefix="hpns-"))
    path.chmod(0o755)
    run = Run(path / "state")
    # Not the usual port of the phone page, which another bin/run of this machine may take between two starts.
    Folder(path / "state", for_servers()).write("ports.json", {"phone": free_port()})
    run.start()
    yield run
    run.stop()
    shutil.rmtree(path)


@pytest.fixture
def service(started: Run) -> Run:
    """The running service: started again where the test before has ended it."""
    if started.process.poll() is not None:
        started.start()
    return started


@pytest.fixture
def run_info(service: Run) -> dict[str, Any]:
    """What run.json says."""
    return dict(json.loads((service.state / "run.json").read_text()))


@pytest.fixture(scope="module")
def console(started: Run) -> Iterator[Console]:
    """What runs manage.py with the environment that is told: one Python for all its commands."""
    told = json.loads((started.state / "run.json").read_text())["env"]
    command = ["sh", "-c", f". {told} && env -0"]
    printed = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True)
    environment = dict(line.split("=", 1) for line in printed.stdout.split("\0") if line)
    ours = {"DJANGO_SETTINGS_MODULE": "hpns.settings"}  # as manage.py does
    ours |= {name: os.environ[name] for name in ("PYTHONPYCACHEPREFIX",) if name in os.environ}
    running = Console({**ours, **environment}, started.state.with_suffix(".console"))
    yield running
    running.close()


def _push(run_info: dict[str, Any], **members: str) -> dict[str, str]:
    """Push to the demo's iPhone, or what `members` say; the answer."""
    push = {"platform": "apple_rn-v2", "device_id": "ab" * 32, "server_id": "s", "type": "message", "message": "m"}
    answer: dict[str, str] = json.loads(
        open_url(run_info["push_url"] + "/api/v1/send_push", json.dumps({**push, **members}).encode())[1]
    )
    return answer


def test_run_json_is_private_and_says_what_was_printed(service: Run, run_info: dict[str, Any]) -> None:
    assert stat.S_IMODE((service.state / "run.json").stat().st_mode) == 0o600
    printed = service.output()
    for value in (run_info["own_url"], run_info["curl"], run_info["staff"]["password"], *run_info["pages"].values()):
        assert value in printed
    assert "The first push went through" in printed


def test_every_page_that_is_told_of_answers(run_info: dict[str, Any]) -> None:
    assert {name: open_url(url)[0] for name, url in run_info["pages"].items()} == dict.fromkeys(run_info["pages"], 200)
    assert list(run_info["pages"]) == ["phone", "customer", "admin", "metrics", "health"]


def test_a_licence_of_the_demo_can_be_tried_and_another_is_in_use(
    service: Run, run_info: dict[str, Any], console: Console
) -> None:
    assert f"Licences    {run_info['licences']}" in service.output()
    for name, user in (("e1", None), ("another-account", "demo-neighbour")):
        done = console.run("manage.py", "licence", "check", f"{run_info['licences']}/{name}.mattermost-license")
        found = json.loads(done.out)
        assert (found["result"], found["issuer"], found["proven_by"]) == ("good", "demo", user)


def test_the_first_push_is_on_the_phone(run_info: dict[str, Any]) -> None:
    assert "Hello from your push service" in open_url(run_info["pages"]["phone"])[1]


@pytest.mark.usefixtures("service")
def test_the_demos_server_is_proven_by_its_first_push(console: Console) -> None:
    def shown() -> dict[str, Any]:
        done = console.run("manage.py", "proof", "show", "--customer", "demo", "--server", "Demo server")
        return dict(json.loads(done.out))

    wait_for(lambda: shown()["level"] == "proven", WAIT, "the proof")
    assert (shown()["site"]["company"], shown()["proofs"][0]["how"]) == ("Demo Company", "fetched")


def test_a_mattermost_of_ones_own_is_no_second_server_of_the_demos_key(service: Run, run_info: dict[str, Any]) -> None:
    assert run_info["own_url"] != run_info["push_url"]
    assert run_info["own_url"] in service.output()
    body = json.dumps({"platform": "apple_rn-v2", "device_id": "5b" * 32, "server_id": "o" * 26, "type": "message"})
    _, answer = open_url(run_info["own_url"] + "/api/v1/send_push", body.encode())
    assert json.loads(answer)["status"] == "OK"


def test_the_curl_works_when_pasted(run_info: dict[str, Any]) -> None:
    program("CURL")
    done = subprocess.run(["sh", "-c", run_info["curl"]], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"status": "OK"}


@pytest.mark.parametrize("platform", ["apple", "apple_rn-v2", "apple_rnbeta-v2", "android", "android_rn-v2"])
def test_a_push_to_each_app_of_the_demo_is_delivered(run_info: dict[str, Any], platform: str) -> None:
    device = "ab" * 32 if platform.startswith("apple") else "cDeFgHiJkL0:APA91b" + "x" * 120
    assert _push(run_info, platform=platform, device_id=device, ack_id=platform) == {"status": "OK"}


def test_a_platform_without_an_app_is_refused_with_what_to_add(run_info: dict[str, Any]) -> None:
    answer = _push(run_info, platform="apple_other-v2")
    assert answer["status"] == "FAIL"
    assert "apple_other" in answer["error"]


def test_staff_can_log_in_with_what_is_told(run_info: dict[str, Any]) -> None:
    cookies = http.cookiejar.CookieJar()
    handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(cookies))
    browser = urllib.request.build_opener(*handlers)
    with browser.open(run_info["pages"]["admin"], timeout=WAIT) as page:
        login = page.url
    token = next(cookie.value for cookie in cookies if cookie.name == "csrftoken")
    fields = {
        "csrfmiddlewaretoken": token,
        "login": run_info["staff"]["user"],
        "password": run_info["staff"]["password"],
    }
    with browser.open(login, urllib.parse.urlencode(fields).encode(), timeout=WAIT) as page:
        assert "Set up a second factor" in page.read().decode()


def test_manage_py_works_beside_it_with_the_environment_that_is_told(run_info: dict[str, Any]) -> None:
    command = f". {run_info['env']} && {sys.executable} manage.py migrate --check"
    subprocess.run(["sh", "-c", command], cwd=ROOT, env={"PATH": os.environ["PATH"]}, check=True, capture_output=True)


def test_the_canary_pushes_to_the_sandbox_and_the_status_page_is_written(
    service: Run, run_info: dict[str, Any], console: Console, eventually: Callable[..., bool]
) -> None:
    def pushed() -> bool:
        # Unless the timetable has begun with this minute: then its rows come in a moment.
        rows = json.loads(console.run("manage.py", "canary", "push").out)
        return {row["of"] for row in rows} == {"apns", "fcm", "pages"} and all(row["good"] for row in rows)

    assert eventually(pushed)
    # The timetable writes it, at the full minute.
    assert eventually((service.state / "status" / "index.html").exists)
    page = urllib.parse.urljoin(run_info["pages"]["health"], "/status/")
    assert "Status of the push notification service" in open_url(page)[1]


def test_pages_and_workers_are_database_users_of_their_own(
    run_info: dict[str, Any], console: Console, eventually: Callable[..., bool]
) -> None:
    found = console.run("manage.py", "check", "--deploy", "--database", "default").err
    assert "hpns.E009" not in found
    assert "hpns.E03" not in found
    with psycopg.connect(console.env["DATABASE_URL"], autocommit=True) as connection:

        def users() -> set[str]:
            query = "SELECT usename FROM pg_stat_activity WHERE backend_type = 'client backend'"
            return {name for (name,) in connection.execute(query)}

        # A worker opens its connection when it has a row to write, and gives it up after a minute.
        _push(run_info, ack_id="a-row-to-write")
        assert eventually(lambda: "hpns_worker" in users())
        # What shows whose a page's connection is: without the user there is none.
        page = urllib.parse.urljoin(run_info["pages"]["health"], "/invitation/none/")
        assert status_of(page) == 404
        connection.execute("ALTER ROLE hpns_pages NOLOGIN")
        # Some of the pages' threads keep theirs.
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'hpns_pages'")
        try:
            assert status_of(page) == 500
        finally:
            connection.execute("ALTER ROLE hpns_pages LOGIN")


def test_everything_listens_on_the_loopback_address_alone(run_info: dict[str, Any]) -> None:
    everybody = socket.gethostbyname(socket.gethostname())
    if everybody.startswith("127."):
        everybody = "127.0.0.2"  # another address of this machine that a server on all addresses would answer under
    for name, port in run_info["ports"].items():
        with socket.socket() as probe:
            assert probe.connect_ex((everybody, port)) != 0, name


def test_a_second_one_on_the_same_folder_says_who_holds_it(service: Run, run_info: dict[str, Any]) -> None:
    command = [sys.executable, "-m", "hpns.local.run", "--state", str(service.state), "--port", str(free_port())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"in use by process {run_info['processes']['supervisor']}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (service.state / "run.json").exists()


def test_a_busy_port_is_one_line_with_the_option(service: Run, place: Path) -> None:
    command = [sys.executable, "-m", "hpns.local.run", "--state", str(place / "state"), "--port", str(service.port)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        f"Port {service.port} is in use: stop what listens there, or choose one with --port.\n",
    )


def test_a_killed_web_process_is_replaced_and_run_json_follows(
    service: Run, run_info: dict[str, Any], eventually: Callable[..., bool]
) -> None:
    old = run_info["processes"]["ingest"]
    os.kill(old, signal.SIGKILL)

    def is_new() -> bool:
        return bool(json.loads((service.state / "run.json").read_text())["processes"].get("ingest", old) != old)

    assert eventually(is_new)
    assert "ingest was killed by SIGKILL; it is started again in 0.5 s." in service.output()
    assert eventually(lambda: not free(service.port))


@pytest.mark.parametrize("who", ["supervisor", "guard"])
def test_killing_it_leaves_nothing_and_the_next_start_finds_its_data(
    service: Run, run_info: dict[str, Any], eventually: Callable[..., bool], who: str
) -> None:
    everything = {pid for one in run_info["processes"].values() for pid in [one, *descendants(one)]}
    os.kill(run_info["processes"][who], signal.SIGKILL)
    service.process.wait(WAIT)
    assert eventually(lambda: not any(map(started_at, everything)))
    assert not (service.state / "run.json").exists()
    since = time.monotonic()
    again = service.start()
    print(f"started again in {time.monotonic() - since:.1f} s")
    same = ("push_url", "own_url", "staff", "demo_key", "ports")
    assert {name: again[name] for name in same} == {name: run_info[name] for name in same}


def test_a_request_to_stop_ends_everything_in_order(service: Run, run_info: dict[str, Any]) -> None:
    everything = {pid for one in run_info["processes"].values() for pid in [one, *descendants(one)]}
    assert service.stop() == 0
    assert service.output().splitlines()[-1] == "Stopped."
    assert "was killed" not in service.output().partition("Stopping;")[2]
    assert not any(map(started_at, everything))
    assert not (service.state / "run.json").exists()


def test_without_the_sandbox_there_is_none_and_no_credential_of_it(place: Path) -> None:
    folder = Folder(place / "state", for_servers())
    # The start of the tests above has made its tables from nothing: this one finds them there.
    password = folder.secret("postgres_password", lambda: cluster.PASSWORD)
    cluster.copy_into(folder, cluster.settings_on(Postgres(folder, password, fast=True), Valkey(folder, "unused")))
    run = Run(place / "state", "--no-sandbox")
    run_info = run.start()
    try:
        assert "sandbox" not in run_info["processes"]
        assert "phone" not in run_info["pages"]
        assert "first push" not in run.output()
        assert _push(run_info)["status"] == "FAIL"
    finally:
        assert run.stop() == 0
