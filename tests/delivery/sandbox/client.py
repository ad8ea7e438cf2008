"""What the sandbox's tests push with: libcurl, and bare HTTP/2 frames where those matter.

Invariant: nothing here retries by itself, except libcurl where a test says so.
"""

import io
import json
import select
import socket
import ssl
import time
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import jwt
import msgspec
import pycurl

from delivery.sandbox.demo import KEY_ID, TEAM_ID
from tests.sandbox_fixture import SandboxClient

DEVICE = "a1" * 32
FCM_DEVICE = "fXy12ab:APA91bHun4MxP5egoKMwt2KZFBaFUH"
ALERT: dict[str, Any] = {"aps": {"alert": {"title": "Town Square", "body": "alice: hi"}, "badge": 3}, "type": "message"}


class Answered(msgspec.Struct):
    """What came back. error: libcurl's number when nothing whole did."""

    status: int
    headers: dict[str, str]
    body: bytes
    error: int = 0

    @property
    def reason(self) -> Any:
        """Apple's reason."""
        return json.loads(self.body)["reason"]


class Pusher:
    """Pushes to one sandbox with its demo credentials, each push on a connection of its own."""

    def __init__(self, sandbox: SandboxClient) -> None:
        """Signs one provider token and fetches one bearer."""
        self.sandbox = sandbox
        self.token = self.sign()
        self.bearer = json.loads(self.grant().body)["access_token"]

    def sign(self, *, key: str = "", key_id: str = KEY_ID, team: str = TEAM_ID, age: float = 0) -> str:
        """A provider token of the demo key, or of another one, issued `age` seconds ago."""
        claims = {"iss": team, "iat": int(time.time() - age)}
        return jwt.encode(
            claims, key or self.sandbox.demo.apns_key.read_text(), algorithm="ES256", headers={"kid": key_id}
        )

    def grant(self, account: dict[str, str] | None = None, **claims: object) -> Answered:
        """Asks the token endpoint for a bearer."""
        account = account or json.loads(self.sandbox.demo.service_account.read_bytes())
        now = int(time.time())
        payload = {
            "iss": account["client_email"],
            "aud": account["token_uri"],
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "iat": now,
            "exp": now + 3600,
        }
        assertion = jwt.encode(payload | claims, account["private_key"], algorithm="RS256")
        form = f"grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={assertion}".encode()
        return self.post("/token", form, ["content-type: application/x-www-form-urlencoded"])

    def apns(self, device: str = DEVICE, body: object = None, *, host: str = "", **headers: str | None) -> Answered:
        """One push to Apple; headers with `_` for `-`, None leaves one out."""
        usual = {"authorization": f"bearer {self.token}", "apns-topic": "com.mattermost.rn", "apns-push-type": "alert"}
        given = usual | {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else json.dumps(ALERT if body is None else body).encode()
        lines = [f"{name}: {value}" for name, value in given.items() if value is not None]
        return self.post(f"/3/device/{device}", content, lines, host=host)

    def fcm(self, device: str | None = FCM_DEVICE, *, bearer: str | None = None, **message: object) -> Answered:
        """One push to FCM; message: more members of the message."""
        body: dict[str, Any] = {"message": {"data": {"type": "message", "message": "hi"}} | message}
        if device is not None:
            body["message"]["token"] = device
        headers = [f"authorization: Bearer {self.bearer if bearer is None else bearer}"]
        return self.post("/v1/projects/demo-project/messages:send", json.dumps(body).encode(), headers)

    def post(
        self,
        path: str,
        body: bytes,
        headers: list[str],
        *,
        host: str = "",
        http: int = pycurl.CURL_HTTP_VERSION_2TLS,
        certificate: str = "",
        method: str = "POST",
        timeout: float = 5,
    ) -> Answered:
        """One request by libcurl. host: under another name; certificate: a PEM file with its key."""
        curl, out, lines = pycurl.Curl(), io.BytesIO(), []
        curl.setopt(pycurl.URL, (f"https://{host}:{self.sandbox.port}" if host else self.sandbox.origin) + path)
        curl.setopt(pycurl.RESOLVE, [f"{host}:{self.sandbox.port}:127.0.0.1"] if host else [])
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.CAINFO, self.sandbox.ca_file)
        curl.setopt(pycurl.HTTP_VERSION, http)
        curl.setopt(pycurl.POSTFIELDS, body)
        curl.setopt(pycurl.CUSTOMREQUEST, method)
        curl.setopt(pycurl.HTTPHEADER, [line.encode() for line in headers])
        curl.setopt(pycurl.WRITEDATA, out)
        curl.setopt(pycurl.HEADERFUNCTION, lines.append)
        curl.setopt(pycurl.TIMEOUT_MS, int(timeout * 1000))
        if certificate:
            curl.setopt(pycurl.SSLCERT, certificate)
            curl.setopt(pycurl.SSLKEY, certificate)
        error = 0
        try:
            curl.perform()
        except pycurl.error as fault:
            error = fault.args[0]
        pairs = (line.decode().strip().partition(": ") for line in lines if b": " in line)
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        curl.close()
        return Answered(status, {name: value for name, _, value in pairs}, out.getvalue(), error)


class Frames:
    """A bare HTTP/2 client on one connection."""

    def __init__(self, sandbox: SandboxClient, *, window: int = 65535) -> None:
        """Connects and says hello; window: how much the sandbox may send on a stream."""
        tls = ssl.create_default_context(cafile=sandbox.ca_file)
        tls.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", sandbox.port), timeout=30)
        self._socket = tls.wrap_socket(plain, server_hostname="localhost")
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.flush()
        self.until(h2.events.RemoteSettingsChanged)

    def ended(self) -> bool:
        """Whether the other side has ended the connection, as far as is known at this moment."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def send(self, device: str, pusher: Pusher, body: bytes = b'{"aps":{}}', *, end: bool = True) -> int:
        """Sends one push (with `end` False without its end); returns its stream."""
        stream = self.h2.get_next_available_stream_id()
        headers = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", f"/3/device/{device}"),
            ("authorization", f"bearer {pusher.token}"),
            ("apns-topic", "com.mattermost.rn"),
        ]
        self.h2.send_headers(stream, headers)
        self.h2.send_data(stream, body, end_stream=end)
        self.flush()
        return stream

    def flush(self) -> None:
        """Puts on the wire what is due."""
        self._socket.sendall(self.h2.data_to_send())

    def until(self, kind: type) -> list[Any]:
        """All events up to the first of a kind, or up to the connection's end."""
        events: list[Any] = []
        while not any(isinstance(event, kind) for event in events):
            data = self._socket.recv(65536)
            if not data:
                break
            events += self.h2.receive_data(data)
            self.flush()
        return events

    def rest(self) -> bytes:
        """The bytes up to the connection's end."""
        data = b""
        while piece := self._socket.recv(65536):
            data += piece
        return data

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()
