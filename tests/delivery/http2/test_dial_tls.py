"""TLS to a provider: whom it trusts, what it takes from the environment (nothing), and how a client key is kept."""

import asyncio
import os
import pty
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from delivery.http2.dial import Endpoint, TlsTrust
from delivery.http2.engine import Engine
from delivery.outcomes.verdict import NOT_SENT
from delivery.sandbox import certificates
from tests.delivery.http2.posting import Seen, post
from tests.delivery.http2.rough_server import RoughServer
from tests.delivery.http2.test_dial import OK, engine_to

ROOT = Path(__file__).resolve().parents[3]
TOPIC = "com.example.app"


@pytest.fixture
def folder(rough: RoughServer) -> Path:
    """Where the rough server's certificates are."""
    return Path(rough.ca_file).parent


def client(folder: Path) -> tuple[str, str]:
    """A client certificate and its key."""
    certificate, mark, key = certificates.issue_client(folder, TOPIC).decode().partition("-----BEGIN PRIVATE")
    return certificate, mark + key


def locked(key: str, kind: PrivateFormat = PrivateFormat.PKCS8) -> str:
    """A key that a password protects."""
    encryption = BestAvailableEncryption(b"secret")
    return load_pem_private_key(key.encode(), None).private_bytes(Encoding.PEM, kind, encryption).decode()


# --- Whom it trusts


def test_endpoints_without_a_client_certificate_share_one_context(folder: Path) -> None:
    trust = TlsTrust(str(folder / "ca.pem"))
    endpoints = [Endpoint(origin, trust) for origin in ("https://a.example", "https://b.example:8443")]
    assert endpoints[0].tls() is endpoints[1].tls() is endpoints[0].tls()
    with_certificate = [Endpoint("https://a.example", trust, *client(folder)) for _ in range(2)]
    contexts = [with_certificate[0].tls(), with_certificate[1].tls(), endpoints[0].tls()]
    assert len({id(context) for context in contexts}) == 3
    assert with_certificate[0].tls() is contexts[0], "it is made once"


def test_every_context_checks_the_provider(folder: Path) -> None:
    trust = TlsTrust(str(folder / "ca.pem"))
    for endpoint in (Endpoint("https://a.example", trust), Endpoint("https://a.example", trust, *client(folder))):
        context = endpoint.tls()
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert [found["subject"][0][0][1] for found in context.get_ca_certs()] == ["Provider sandbox CA"]


async def test_a_certificate_for_another_name_is_not_accepted(rough: RoughServer, folder: Path) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: None, "127.0.0.2", 0, ssl=certificates.context(folder, "server")
    )
    async with server, engine_to(rough.ca_file, patient=False) as engine:
        seen = await post(engine, f"https://127.0.0.2:{server.sockets[0].getsockname()[1]}", OK)
    assert (seen.fault, seen.wire) == ("tls", NOT_SENT)
    assert "127.0.0.2" in seen.error


@pytest.mark.parametrize("content", [None, "", "no certificate"])
async def test_a_file_of_authorities_that_cannot_be_used_is_named(
    rough: RoughServer, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_text(content)
    async with engine_to(str(file), patient=False) as engine:
        seen = await post(engine, rough.origin, OK)
    assert (seen.status, seen.fault, seen.wire) == (0, "tls", NOT_SENT)
    assert str(file) in seen.error


# --- The environment


async def test_the_environments_authorities_are_not_trusted(
    rough: RoughServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", rough.ca_file)
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    assert ssl.create_default_context().get_ca_certs(), "others would trust it"
    async with engine_to("", patient=False) as engine:
        seen = await post(engine, rough.origin, OK)
    assert (seen.fault, seen.wire) == ("tls", NOT_SENT)


async def test_the_environments_authorities_and_proxies_are_not_needed(
    rough: RoughServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with engine_to(rough.ca_file) as engine:
        assert (await post(engine, rough.origin, OK)).status == 200


async def test_the_secrets_of_a_connection_are_not_written_where_the_environment_says(
    rough: RoughServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "secrets"))
    assert ssl.create_default_context().keylog_filename, "others would write them"
    (tmp_path / "secrets").unlink()
    async with engine_to(rough.ca_file) as engine:
        assert (await post(engine, rough.origin, OK)).status == 200
    assert os.listdir(tmp_path) == []


# --- The client certificate


@asynccontextmanager
async def asking(folder: Path, shown: list[Any]) -> AsyncIterator[str]:
    """The origin of a server that notes the client certificates that it is shown."""

    def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = writer.get_extra_info("ssl_object")
        shown.append((found.version(), certificates.describe(found.getpeercert(binary_form=True)).uid))
        writer.close()

    server = await asyncio.start_server(note, "127.0.0.1", 0, ssl=certificates.context(folder, "server"))
    async with server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"


async def post_with(engine: Engine, origin: str, certificate: str, key: str) -> Seen:
    """One request with a client certificate."""
    engine.channel(origin, 1, certificate, key)
    return await post(engine, origin, OK)


async def test_a_client_certificate_is_shown_to_the_provider(rough: RoughServer, folder: Path) -> None:
    shown: list[Any] = []
    async with asking(folder, shown) as origin, engine_to(rough.ca_file, patient=False) as engine:
        await post_with(engine, origin, *client(folder))
    assert shown == [("TLSv1.2", TOPIC)]


def refuse(server: socket.socket, tls: ssl.SSLContext) -> None:
    """Take one connection, fail its handshake with an alert, and wait for its end."""
    with tls.wrap_socket(server.accept()[0], server_side=True, do_handshake_on_connect=False) as taken:
        with pytest.raises(ssl.SSLError):
            taken.do_handshake()
        taken.shutdown(socket.SHUT_WR)
        while taken.recv(1000):
            pass


async def test_a_client_certificate_that_the_provider_refuses_is_said_to_be_the_fault(
    rough: RoughServer, folder: Path
) -> None:
    stranger = (folder / "wrong.pem").read_text(), (folder / "wrong.key").read_text()
    with socket.create_server(("127.0.0.1", 0)) as server:
        refusal = asyncio.create_task(asyncio.to_thread(refuse, server, certificates.context(folder, "server")))
        async with engine_to(rough.ca_file) as engine:
            seen = await post_with(engine, f"https://localhost:{server.getsockname()[1]}", *stranger)
        assert (seen.status, seen.fault, seen.wire) == (0, "credential", NOT_SENT)
        await refusal


@pytest.mark.parametrize("fault", ["no key", "another's key", "broken key", "broken certificate", "locked key", "old"])
async def test_a_client_key_that_cannot_be_used_is_said_to_be_the_fault(
    rough: RoughServer, folder: Path, fault: str
) -> None:
    certificate, key = client(folder)
    certificate, key = {
        "no key": (certificate, ""),
        "another's key": (certificate, client(folder)[1]),
        "broken key": (certificate, key.replace("\n", "\n!")),
        "broken certificate": ("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", key),
        "locked key": (certificate, locked(key)),
        "old": (certificate, locked(key, PrivateFormat.TraditionalOpenSSL)),
    }[fault]
    async with engine_to(rough.ca_file) as engine:
        seen = await post_with(engine, rough.origin, certificate, key)
    assert (seen.status, seen.fault, seen.wire) == (0, "credential", NOT_SENT)
    assert not set(key.splitlines()) & set(seen.error.splitlines())


ASK = """
import os, sys
from delivery.http2.dial import DialError, Endpoint, TlsTrust
os.login_tty(0)
try:
    Endpoint("https://localhost", TlsTrust(sys.argv[1]), sys.argv[2], sys.argv[3]).tls()
except DialError as error:
    print("refused as", error.fault)
"""


def test_nobody_is_asked_for_the_password_of_a_key(rough: RoughServer, folder: Path) -> None:
    ours, theirs = pty.openpty()
    certificate, key = client(folder)
    command = [sys.executable, "-c", ASK, rough.ca_file, certificate, locked(key)]
    output = ""
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdin=theirs) as process:
        os.close(theirs)
        while "\n" not in output and "phrase" not in output:
            output += os.read(ours, 1000).decode()
        os.write(ours, b"secret\n")
    os.close(ours)
    assert (output.strip(), process.returncode) == ("refused as credential", 0)


def test_a_client_key_is_in_no_file_on_disk(rough: RoughServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []
    load = ssl.SSLContext.load_cert_chain

    def watch(context: ssl.SSLContext, certfile: str, keyfile: str, password: Any = None) -> None:
        for file in (certfile, keyfile):
            seen.append((os.readlink(file), os.stat(file).st_nlink))
        load(context, certfile, keyfile, password)

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watch)
    Endpoint("https://localhost", TlsTrust(rough.ca_file), *client(folder)).tls()
    assert seen == [("/memfd:client certificate (deleted)", 0)] * 2
    assert os.listdir("/proc/self/fd") == before, "and in none that stays open"
