"""What people do to the front door: read slowly, send a bomb, be two at once. By the real ingest process, on pages.

Ada owns Acme; Cleo is invited. After each test the process must still serve a good caller (see conftest.py).
"""

import gzip
import json
import re
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg
import pytest

from hpns.web import server
from hpns.web.page_gates import CONCURRENT
from hpns.web.pages_app import WARM
from hpns.web.pages_proxy import BODY_MAX
from tests.hpns.web_server import Server, Stores, answer, request
from tests.stage import ROOT
from tests.waiting import PATIENCE, wait_for

SEED: Final = """
import json
import django
django.setup()
from tenants import services
from tenants.models import Customer, Membership
from tests.people import browser, person
acme = Customer.objects.get(slug="acme")
ada, cleo = person("ada"), person("cleo")
Membership.objects.create(user=ada, customer=acme, role="owner")
made = services.invitation_add(customer=acme, email=cleo.email, role="viewer", by=services.OPERATOR)
def session(user):
    return browser(user).cookies["sessionid"].value
print(json.dumps({"customer": acme.pk, "ada": session(ada), "cleo": [session(cleo), session(cleo)],
                  "link": made.link}))
"""
TOKEN: Final = "c" * 32
MIB: Final = 1024 * 1024
# Bytes of a download that no pair of sockets holds between them, and of a bomb that no process takes unnoticed.
LARGE, BOMB = 6 * MIB, 50 * MIB


class People(NamedTuple):
    """Acme's number, sessions of Ada and Cleo, and the address of Cleo's invitation."""

    customer: int
    ada: str
    cleo: tuple[str, str]
    invitation: str


@pytest.fixture(scope="module")
def people(stores: Stores) -> People:
    """Ada and Cleo, and a log of Acme's that makes a large download."""
    env = {**stores.env, "PUBLIC_URL": "http://localhost"}
    done = subprocess.run([sys.executable, "-c", SEED], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    error_of = json.loads(done.stdout.splitlines()[-1])
    with psycopg.connect(stores.owner) as connection:
        connection.execute(
            "INSERT INTO tenants_auditevent (at, customer_id, actor_kind, actor, action, target, details) "
            "SELECT now(), %s, 'service', 'the service', 'key.add', n::text, jsonb_build_object('x', repeat('x', %s)) "
            "FROM generate_series(1, 60) n",
            (error_of["customer"], LARGE // 60),
        )
    return People(
        error_of["customer"],
        error_of["ada"],
        tuple(error_of["cleo"]),
        error_of["link"].removeprefix("http://localhost"),
    )


def logged_in(session: str) -> dict[str, str]:
    """The headers of a browser with this session, and with the token that its forms hold."""
    return {"Cookie": f"sessionid={session}; csrftoken={TOKEN}", "X_CSRFToken": TOKEN}


def memory(web: Server) -> int:
    """The most bytes that the web process and the pages process have had in memory so far."""
    return sum(map(peak, [*web.processes(), *web.pages_processes()]))


def peak(process: int) -> int:
    """The most bytes that a process has had in memory so far."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1]) * 1024


def held(web: Server) -> int:
    """How many answers wait in files for their readers."""
    processes = [*web.processes(), *web.pages_processes()]
    found = [path for process in processes for path in Path(f"/proc/{process}/fd").iterdir()]
    links = [str(path.readlink()) for path in found if path.is_symlink()]
    return sum(link.startswith(web.stores.env["TMPDIR"]) and link.endswith(" (deleted)") for link in links)


def connections(stores: Stores) -> int:
    """How many connections to the database pages have open."""
    with psycopg.connect(stores.owner) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s"
        (count,) = connection.execute(query, (stores.pages_user,)).fetchone() or (0,)
        return int(count)


class Reader:
    """Asks for the log as CSV and takes no more of it than is asked of him."""

    def __init__(self, web: Server, session: str) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", web.port))
        self.socket.sendall(request("/c/acme/audit.csv", method="GET", **logged_in(session)))

    def begin(self) -> HTTPResponse:
        """The head of the answer."""
        found = HTTPResponse(self.socket)
        found.begin()
        return found


def test_slow_readers_hold_a_file_and_neither_a_connection_nor_a_place(web: Server, people: People) -> None:
    readers, begun = [], []
    try:
        # More than there are places, and each is answered: all of them have an answer that they do not read.
        for _ in range(CONCURRENT + 1):
            readers.append(Reader(web, people.ada))
            begun.append(readers[-1].begin())
        assert {found.status for found in begun} == {200}
        assert held(web) == CONCURRENT + 1
        wait_for(lambda: connections(web.stores) <= WARM < CONCURRENT, PATIENCE, "no reader holds a connection")
        assert answer(web.send(request("/c/acme/audit/", method="GET", **logged_in(people.ada))), "GET").status == 200
        # Whoever reads on gets the rest; the length says what the whole is.
        body = begun[0].read()
        assert len(body) == int(begun[0].headers["Content-Length"]) > LARGE
        assert body.endswith(b"\r\n")
    finally:
        for each in (*begun, *(reader.socket for reader in readers)):
            each.close()
    wait_for(lambda: held(web) == 0, PATIENCE, "files that nobody reads any more are closed")


def test_whoever_takes_nothing_for_too_long_has_no_connection_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert server.USER_TIMEOUT_MS == 60_000
    monkeypatch.setattr(server, "USER_TIMEOUT_MS", 500)
    with server.listening(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            accepted.settimeout(10)
            with pytest.raises(TimeoutError, match="Connection timed out"):  # not our own patience: the kernel's
                accepted.sendall(b"x" * 100 * MIB)


def test_a_page_unpacks_no_gzip_bomb(web: Server, people: People) -> None:
    bomb = gzip.compress(b"name=" + b"b" * BOMB, mtime=0)
    assert len(bomb) < BODY_MAX
    headers = {"Content_Encoding": "gzip", "Content_Type": "application/x-www-form-urlencoded"}
    before = memory(web)
    found = answer(web.send(request("/c/acme/settings/name/", bomb, **headers, **logged_in(people.ada))))
    # It is read as it is, and is no form with a name in it.
    assert found.status == 200
    assert b"This field is required" in found.read()
    assert memory(web) - before < BOMB // 4


def test_of_two_browsers_that_accept_at_once_one_is_let_in_and_the_other_told(web: Server, people: People) -> None:
    barrier = threading.Barrier(2)

    def accept(session: str) -> HTTPResponse:
        barrier.wait()
        return answer(web.send(request(people.invitation, **logged_in(session))))

    with ThreadPoolExecutor(2) as pool, psycopg.connect(web.stores.owner) as held:
        # Both have seen an open invitation, and wait for each other's doing.
        held.execute("SELECT FROM tenants_invitation FOR UPDATE")
        both = [pool.submit(accept, session) for session in people.cleo]
        wait_for(lambda: waiting(web.stores) == 2, PATIENCE, "both wait")
        held.commit()
        answers = sorted((each.result(PATIENCE) for each in both), key=lambda found: found.status)
    assert [found.status for found in answers] == [302, 410]
    assert answers[0].getheader("location") == "/c/acme/"
    assert "This invitation was accepted already" in answers[1].read().decode()
    with psycopg.connect(web.stores.owner) as connection:
        query = (
            "SELECT count(*) FROM tenants_membership m JOIN auth_user u ON u.id = m.user_id "
            "WHERE u.username = 'cleo' AND m.customer_id = %s"
        )
        assert connection.execute(query, (people.customer,)).fetchone() == (1,)


def waiting(stores: Stores) -> Any:
    """How many pages wait for a row that another has locked."""
    with psycopg.connect(stores.owner) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND wait_event_type = 'Lock'"
        return (connection.execute(query, (stores.pages_user,)).fetchone() or (0,))[0]
