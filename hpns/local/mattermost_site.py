"""A stand-in for a Mattermost site: the two public documents over HTTPS, pushes that are signed as it signs them, and
the ways in which a site can misbehave.

    python -m hpns.local.mattermost_site --port PORT --home HOME --certificates FOLDER

HOME holds its identity, made at the first start.
"""

import argparse
import json
import secrets
import ssl
import sys
import time
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from hpns.local.demo_names import COMPANY
from hpns.local.folder import private

IDENTITY: Final = "identity.json"
CONFIG, LICENCE = "/api/v4/config/client", "/api/v4/license/client"
# What a site can do instead of answering as it should.
BEHAVIOURS: Final = ("answers", "redirects", "wanders", "slow", "drips", "huge", "fails", "html", "closes")
_ALPHABET: Final = "ybndrfg8ejkmcpqxot1uwisza345h769"
_HUGE: Final = 10_000_000


def made_id() -> str:
    """An id as Mattermost makes them: 26 characters, the last of which has two spare bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(25)) + secrets.choice(_ALPHABET[::4])


@dataclass
class Installation:
    """One Mattermost installation: its DiagnosticId and its signing key, and what its licence says."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    diagnostic_id: str = field(default_factory=made_id)
    licence: dict[str, str] = field(
        default_factory=lambda: {
            "IsLicensed": "true",
            "SkuShortName": "professional",
            "Users": "250",
            "Company": COMPANY,
            "MHPNS": "true",
            "IsTrial": "false",
        }
    )

    @property
    def public_key(self) -> str:
        """As the client configuration publishes it."""
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b64encode(der).decode()

    def config(self, site_url: str) -> dict[str, str]:
        """The client configuration, of which much is left out."""
        return {
            "AsymmetricSigningPublicKey": self.public_key,
            "BuildEnterpriseReady": "true",
            "DiagnosticId": self.diagnostic_id,
            "SiteName": "Mattermost",
            "SiteURL": site_url,
            "Version": "11.1.0",
        }

    def signature(self, ack_id: str, device_id: str) -> str:
        """The ES256 JWT of a push (server/channels/app/notification_push.go)."""
        parts = [json.dumps(part, separators=(",", ":")).encode() for part in _claims(ack_id, device_id)]
        text = b".".join(map(_base64url, parts))
        r, s = decode_dss_signature(self.key.sign(text, ec.ECDSA(SHA256())))
        return b".".join((text, _base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big")))).decode()

    def signed(self, push: dict[str, Any]) -> dict[str, Any]:
        """A push as this installation sends it: with its server_id, an ack_id of its own, and signed."""
        ack_id = push.get("ack_id") or made_id()
        own = {"server_id": self.diagnostic_id, "ack_id": ack_id}
        return {**push, **own, "signature": self.signature(str(ack_id), str(push["device_id"]))}

    @classmethod
    def kept(cls, home: Path) -> "Installation":
        """The installation whose identity is in a folder, made at the first call."""
        path = home / IDENTITY
        if not path.exists():
            home.mkdir(parents=True, exist_ok=True)
            made = cls()
            pem = made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
            private(path, json.dumps({"diagnostic_id": made.diagnostic_id, "key": pem}))
        kept = json.loads(path.read_text(encoding="utf-8"))
        key = load_pem_private_key(kept["key"].encode(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{path} holds no elliptic-curve key")
        return cls(key=key, diagnostic_id=kept["diagnostic_id"])


def _claims(ack_id: str, device_id: str) -> tuple[dict[str, str], dict[str, str]]:
    return {"alg": "ES256", "typ": "JWT"}, {"ack_id": ack_id, "device_id": device_id}


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


class Site(ThreadingHTTPServer):
    """The site's server. `behaviour`, `url` (its SiteURL) and `installation` may be changed while it serves."""

    daemon_threads = True

    def __init__(
        self, port: int, certificate: Path, key: Path, *, url: str = "", installation: Installation | None = None
    ) -> None:
        """Listen on the loopback address; `url` "": https://localhost:PORT."""
        super().__init__(("127.0.0.1", port), _Handler)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        self.url = url or f"https://localhost:{self.server_address[1]}"
        self.installation = installation or Installation()
        self.behaviour = "answers"
        # Where it redirects to, when it does.
        self.elsewhere = "https://127.0.0.1:1/"
        self.asked: list[str] = []

    def get_request(self) -> tuple[Any, Any]:
        """A connection; the handshake is its thread's, so that one that never comes holds up no other."""
        plain, address = super().get_request()
        plain.settimeout(10)
        return self._tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of callers that hang up."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def documents(self) -> dict[str, dict[str, str]]:
        """What it answers, by path."""
        return {CONFIG: self.installation.config(self.url), LICENCE: self.installation.licence}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        """Answer, or do not."""
        path = self.path.partition("?")[0]
        self.server.asked.append(self.path)
        behaviour = self.server.behaviour
        if behaviour == "closes":
            self.close_connection = True
        elif behaviour == "redirects":
            self._answer(302, b"", Location=self.server.elsewhere)
        elif behaviour == "wanders" and not path.startswith("/chat"):
            self._answer(301, b"", Location=f"/chat{self.path}")
        elif behaviour == "slow":
            time.sleep(20)
        elif behaviour == "drips":
            self._drip()
        elif behaviour == "huge":
            self._answer(200, b'{"DiagnosticId":"' + b"x" * _HUGE + b'"}')
        elif behaviour == "fails":
            self._answer(503, b"{}")
        elif behaviour == "html":
            self._answer(200, b"<!DOCTYPE html><title>Log in</title>")
        else:
            found = self.server.documents().get(path.removeprefix("/chat"))
            self._answer(200 if found else 404, json.dumps(found or {}).encode())

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.2)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
        """Nothing: whoever asks sees the answer."""


def main(arguments: list[str] | None = None) -> None:
    """Serve until the end."""
    parser = argparse.ArgumentParser(prog="python -m hpns.local.mattermost_site")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--certificates", type=Path, required=True, help="server.pem and server.key")
    options = parser.parse_args(arguments)
    pair = (options.certificates / "server.pem", options.certificates / "server.key")
    Site(options.port, *pair, installation=Installation.kept(options.home)).serve_forever()


if __name__ == "__main__":
    main()
