"""A request as asgi.py hands it on, for the tests of authentication."""

from tenants.directory.snapshot import Identity
from tenants.known_key import KnownKey


class Headers(dict[str, str | list[str]]):
    """Headers as hpns/web/request_head.py has them: `get` gives the first line of a name, `get_all` those that are
    printable ASCII."""

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        return next(iter(self._lines(name)), default)

    def get_all(self, name: str) -> list[str]:
        return [line for line in self._lines(name) if line.isascii()]

    def _lines(self, name: str) -> list[str]:
        lines = super().get(name, [])
        return [lines] if isinstance(lines, str) else lines


class Request:
    """A request as asgi.py hands it on; `headers` by lower-case names, "_" for "-", several lines as a list."""

    def __init__(
        self,
        path: str = "/api/v1/send_push",
        authorization: str | None = None,
        *,
        peer: str = "203.0.113.9:4711",
        scheme: str = "https",
        tls: str = "",
        **headers: str | list[str],
    ) -> None:
        self.path, self.peer, self.scheme, self.tls = path, peer, scheme, tls
        self.known_key = KnownKey()
        self.admitted: tuple[int, Identity] | None = None
        self.raw_headers = Headers((name.replace("_", "-"), value) for name, value in headers.items())
        if authorization is not None:
            self.raw_headers["authorization"] = authorization

    def headers_get(self, name: str) -> str | None:
        return self.raw_headers.get(name)
