"""TLS at the front door, and that no request is lost while certificates and processes change.

No worker runs here: an ack is answered at once, and a push is answered OK when its deadline has come.
"""

import contextlib
import datetime
import http.client
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from delivery.queue.rejections import SEEN
from tenants import keys
from tests.hpns.callers import Callers
from tests.hpns.web_server import PUSH, Server, Stores, receive, request
from tests.stage import ROOT
from tests.waiting import PATIENCE, wait_for

# The deadline of a push in these tests: what a slow request takes.
SLOW = 1.5


class Files:
    """A certificate's files, and a caller who trusts each certificate that was ever in them."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "front.crt", folder / "front.key"
        self.trust = ssl.create_default_context()
        self.settings = {"TLS_CERT_FILE": str(self.certificate), "TLS_KEY_FILE": str(self.key)}
        self.put(*self.make())

    def make(self, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None) -> tuple[bytes, bytes]:
        """A new pair in PEM."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        # A name of its own: a caller looks for the certificate that he trusts by its name.
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"door {secrets.token_hex(4)}")])
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return made, secret

    def put(self, certificate: bytes, key: bytes) -> bytes:
        """Replace the files one by one, as certbot does; returns the certificate as a caller will see it."""
        self.trust.load_verify_locations(cadata=certificate.decode())
        for path, content in ((self.certificate, certificate), (self.key, key)):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(content)
            fresh.rename(path)
        return ssl.PEM_cert_to_DER_cert(certificate.decode())


def shown(web: Server) -> bytes:
    """The certificate that a fresh connection gets to see."""
    connection = web.connect()
    assert isinstance(connection, ssl.SSLSocket)
    with connection:
        return connection.getpeercert(binary_form=True) or b""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A good pair."""
    return Files(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def shared_web(stores: Stores, files: Files) -> Iterator[Server]:
    """A front door with two processes."""
    web = Server(stores, {**files.settings, "PUSH_DEADLINE": str(SLOW)}, files.trust, workers=2)
    yield web
    web.close()


@pytest.fixture
def web(shared_web: Server) -> Server:
    """The same for all tests, but none sees what the door has logged for the others."""
    shared_web.mark_log()
    return shared_web


def test_tls_1_2_and_1_3_are_spoken_with_an_ecdsa_certificate_and_1_1_is_not(web: Server, files: Files) -> None:
    for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
        caller = ssl.create_default_context(cafile=str(files.certificate))
        caller.minimum_version = caller.maximum_version = version
        with web.connect(trust=caller) as connection:
            assert isinstance(connection, ssl.SSLSocket)
            assert connection.version() == name
            certificate = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp256r1"
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")  # so that it is the door that refuses, not our own OpenSSL
    with pytest.raises(ssl.SSLError, match=r"ALERT|EOF"):  # uvloop closes before it has sent the alert
        web.connect(trust=old)


def test_a_rejected_caller_is_handed_on_with_its_version_of_tls_and_a_stranger_is_not(web: Server) -> None:
    stores = web.stores
    strange = keys.new_key(b"another" * 8)[0]
    for key in (stores.revoked, stores.key[:-1], strange):
        web.send(request(f"/t/{key}/api/v1/send_push", PUSH))
    with redis.Redis.from_url(stores.env["REDIS_URL"]) as store:

        def handed_on() -> list[Any]:
            """Those of this server: others on the same stores have no TLS."""
            return [entry for entry in map(json.loads, store.lrange(SEEN, 0, -1)) if entry[7]]

        wait_for(lambda: len(handed_on()) >= 2, PATIENCE, "the rejections are handed on")
        found = handed_on()
    assert sorted((entry[1], entry[2], entry[7]) for entry in found) == [
        ("revoked_key", "127.0.0.1", "TLSv1.3"),
        ("unknown_key", "127.0.0.1", "TLSv1.3"),
    ]
    assert not any(part in json.dumps(found) for part in (stores.revoked[11:], stores.key[11:-1], strange[3:11]))


def test_the_health_check_of_a_container_speaks_tls_too(web: Server, files: Files) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hpns.health", "web", "--port", str(web.port)],
        cwd=ROOT,
        env={**web.stores.env, **files.settings},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout == "no worker is running: pushes would wait in the queue\n"


def test_a_renewed_certificate_is_shown_without_a_restart_and_no_request_is_lost(web: Server, files: Files) -> None:
    callers = Callers(web)
    before, processes = shown(web), web.processes()
    after = files.put(*files.make())
    wait_for(lambda: "the renewed certificate is in use" in web.log(), PATIENCE, "all processes have it")
    wait_for(lambda: {shown(web) for _ in range(8)} == {after}, PATIENCE, "the new certificate is shown")
    wait_for(lambda: callers.answered > 500, PATIENCE, "answers")
    callers.stop()
    assert web.processes() == processes
    assert callers.lost == []
    assert callers.refused == 0
    assert callers.certificates == {before, after}


def test_a_certificate_with_another_kind_of_key_takes_the_place_of_the_one_before(web: Server, files: Files) -> None:
    after = files.put(*files.make(rsa.generate_private_key(65537, 2048)))
    wait_for(lambda: {shown(web) for _ in range(8)} == {after}, PATIENCE, "the new certificate is shown")
    after = files.put(*files.make())
    wait_for(lambda: {shown(web) for _ in range(8)} == {after}, PATIENCE, "the new certificate is shown")


def test_processes_are_replaced_on_demand_and_no_request_is_lost(web: Server) -> None:
    callers = Callers(web)
    wait_for(lambda: callers.answered > 50, PATIENCE, "answers")
    old = set(web.processes())
    os.kill(web.child.pid, signal.SIGHUP)
    wait_for(lambda: "taken over" in web.log(), PATIENCE, "new processes")
    wait_for(lambda: old.isdisjoint(web.processes()), PATIENCE, "the old processes have left")
    callers.stop()
    assert callers.lost == []
    assert callers.refused == 0


def test_an_idle_connection_of_a_process_that_was_replaced_can_be_used_once_more(web: Server) -> None:
    with web.connect() as idle:

        def is_last() -> bool:
            idle.sendall(request("/version", method="GET", close=False))
            answer = http.client.HTTPResponse(idle, method="GET")
            answer.begin()
            answer.read()
            assert answer.status == 200
            return answer.getheader("connection") == "close"

        # One that has never asked is given ten seconds, and new processes may take longer.
        assert not is_last()
        os.kill(web.child.pid, signal.SIGHUP)
        wait_for(lambda: "taken over" in web.log(), PATIENCE, "new processes")
        # It may not have heard of it yet: then the next request is the last.
        for _ in range(100):
            if is_last():
                break
        assert idle.recv(1) == b""


def test_the_callers_notice_when_processes_are_killed(web: Server) -> None:
    """The guard of the tests that count: what they count can be lost. And the door goes on."""
    callers = Callers(web)
    wait_for(lambda: callers.answered > 100, PATIENCE, "answers")
    for pid in web.processes():
        with contextlib.suppress(ProcessLookupError):  # one that was leaving
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: callers.lost, PATIENCE, "losses")
    before = callers.answered
    wait_for(lambda: callers.answered > before + 50, PATIENCE, "answers of new processes")
    callers.stop()


def test_processes_that_somebody_else_asks_to_leave_lose_nothing_and_those_that_follow_serve(web: Server) -> None:
    """Such as an operator, by hand. Nothing that they do to the door while they leave may stay with it."""
    callers = Callers(web)
    wait_for(lambda: callers.answered > 100, PATIENCE, "answers")
    left = set(web.processes())
    for pid in left:
        with contextlib.suppress(ProcessLookupError):  # one that was leaving
            os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not left & set(web.processes()), PATIENCE, "they have left")
    before = callers.answered
    wait_for(lambda: callers.answered > before + 50, PATIENCE, "answers of those that follow")
    callers.stop()
    # Nobody is refused meanwhile: the door stays open, and who comes waits for who follows.
    assert (callers.lost, callers.refused) == ([], 0)


def test_files_that_cannot_be_used_leave_the_old_certificate_until_better_ones_come(web: Server, files: Files) -> None:
    before = shown(web)
    certificate, key = files.make()
    foreign = files.make(ec.generate_private_key(ec.SECP256K1()))  # a good pair, but no client speaks this curve
    for bad, complaint in (
        ((certificate[: len(certificate) // 2], key), "are not a certificate and its unencrypted key"),
        ((certificate, files.make()[1]), "KEY_VALUES_MISMATCH"),
        (foreign, "no client could connect with"),
    ):
        files.certificate.write_bytes(bad[0])
        files.key.write_bytes(bad[1])
        wait_for(lambda text=complaint: text in web.log(), PATIENCE, complaint)  # type: ignore[misc]
        assert shown(web) == before
    for pid in web.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # what is started in their place gets the old pair, whatever the files say
    wait_for(lambda: "ended by itself" in web.log(), PATIENCE, "the processes are started again")
    assert shown(web) == before
    after = files.put(certificate, key)
    wait_for(lambda: shown(web) == after, PATIENCE, "the new certificate is shown")


def test_sigterm_answers_all_that_was_accepted_and_then_ends(stores: Stores, files: Files) -> None:
    web = Server(stores, {**files.settings, "PUSH_DEADLINE": str(SLOW)}, files.trust, workers=2)
    callers = Callers(web)
    wait_for(lambda: callers.answered > 100, PATIENCE, "answers")
    assert web.stop() == 0
    callers.stop()
    assert callers.lost == []
    assert callers.refused > 0


def test_processes_whose_parent_was_killed_answer_what_they_have_and_leave(stores: Stores, files: Files) -> None:
    web = Server(stores, {**files.settings, "PUSH_DEADLINE": str(SLOW)}, files.trust, workers=2)
    processes = [Path(f"/proc/{pid}") for pid in web.processes()]
    with web.connect() as caller:
        caller.sendall(request(f"/t/{stores.key}/api/v1/send_push", PUSH, close=False))
        time.sleep(0.1)
        os.kill(web.child.pid, signal.SIGKILL)
        assert receive(caller) == (200, b'{"status":"OK"}')
    wait_for(lambda: not any(path.exists() for path in processes), PATIENCE, "they have left")


def test_a_start_without_a_usable_certificate_ends_in_one_line(stores: Stores, files: Files) -> None:
    files.key.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "hpns.ingest", "--port", "1"],
        cwd=ROOT,
        env={**stores.env, **files.settings},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"TLS_CERT_FILE and TLS_KEY_FILE: {files.key} cannot be read: No such file or directory."
    ]
