"""The request of a machine endpoint: one of Django's, of which nothing is made that is not used."""

from typing import Any

from django.http import HttpRequest, QueryDict

from tenants.directory.snapshot import Identity
from tenants.known_key import KnownKey
from tenants.refusals import CallerRejected


class LeanRequest(HttpRequest):
    """A lazy request for the hot path: what is not used is not made. `headers_get` looks a header up by lower case."""

    scheme = ""  # of the connection itself; Django's own looks into META

    def __init__(self, scope: Any, path: str, body: bytes = b"", too_large: int = 0) -> None:
        """`scope`: the request's head, with method, headers, scheme and client ("address:port")."""
        # HttpRequest.__init__ makes six dictionaries that no machine endpoint looks at.
        self.method, self.path, self.path_info = scope.method, path, path
        self.scope = scope
        self.scheme = scope.scheme
        self.raw_headers = scope.headers
        self.headers_get = self.raw_headers.get
        self.payload = body
        self.too_large = too_large  # bytes read of a body that was cut off for its size
        self.body_error = ""  # why the body cannot be used, other than its size
        self.rejected: CallerRejected | None = None  # why it is, where it names nobody

    @property
    def identity(self) -> Identity:
        """Whose request it is, once that has been found out (MachineView.judge_head)."""
        return self.user  # type: ignore[return-value]

    def take_payload(self) -> bytes:
        """The body, which this request keeps no longer: its answer may take seconds."""
        payload, self.payload = self.payload, b""
        return payload

    @property
    def known_key(self) -> KnownKey:
        """What is known of the key of its connection."""
        return self.scope.known_key  # type: ignore[no-any-return]

    @property
    def admitted(self) -> tuple[int, Identity] | None:
        """See tenants.authentication.KeyedRequest."""
        return self.scope.admitted  # type: ignore[no-any-return]

    @admitted.setter
    def admitted(self, admitted: tuple[int, Identity] | None) -> None:
        self.scope.admitted = admitted

    @property
    def peer(self) -> str:
        """The peer of the connection, as "address:port"."""
        return self.scope.client  # type: ignore[no-any-return]

    @property
    def tls(self) -> str:
        """The version of TLS that ended here, such as "TLSv1.3"; "" for none, or where a proxy ended it."""
        return self.scope.tls  # type: ignore[no-any-return]

    @property
    def META(self) -> dict[str, Any]:  # type: ignore[override]  # noqa: N802  Django's name
        """The headers under CGI-like names, made at each use."""
        return {
            "REQUEST_METHOD": self.method,
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.raw_headers.items()},
        }

    @property
    def GET(self) -> QueryDict:  # type: ignore[override]  # noqa: N802  Django's name
        """An empty query: none means anything here."""
        return QueryDict("")
