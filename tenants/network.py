"""Client address and scheme of a request behind trusted proxies: the only file that reads X-Forwarded headers.

What a header says counts only when the peer of the connection is a trusted proxy (settings.TRUSTED_PROXIES), and then
X-Forwarded-For is read from the right: each trusted proxy has appended the address that it saw, so the first address
from the right that is no trusted proxy is the client's; whatever stands left of it anybody may have written.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Protocol

FORWARDED_FOR: Final = "x-forwarded-for"
FORWARDED_PROTO: Final = "x-forwarded-proto"
# Peers whose classification is cached.
PEERS_CACHED_MAX: Final = 4096
# Proxies that may stand in a row; who comes from behind more of them is nobody we know.
HOPS_MAX: Final = 20
# Bits before the IPv4 address in one of IPv6 that stands for it (::ffff:192.0.2.1).
MAPPED_PREFIX_BITS: Final = 96

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Headers(Protocol):
    """Headers by lower case: `get` knows the first line of a name alone, and leaves out, as
    `get_all` does, a line that is not printable ASCII."""

    def __contains__(self, name: str) -> bool: ...

    def get_all(self, name: str) -> list[str]: ...


class RequestInfo(Protocol):
    """A request's connection and headers: the peer ("address:port"), the scheme, and headers by lower case."""

    @property
    def peer(self) -> str: ...

    @property
    def scheme(self) -> str: ...

    @property
    def raw_headers(self) -> Headers: ...

    def headers_get(self, name: str) -> str | None: ...


def networks(entries: Iterable[str]) -> tuple[Network, ...]:
    """Parse networks (CIDR) and single addresses as people write them; IPv4 in IPv6 is IPv4, as it is in `address`.

    Raises ValueError, which names the entry that is none.
    """
    return tuple(map(_network, map(str.strip, entries)))


def _network(entry: str) -> Network:
    try:
        if "%" in entry:
            raise ValueError  # a zone: of one machine alone
        written = ipaddress.ip_interface(entry)
        mapped = getattr(written.ip, "ipv4_mapped", None)
        if mapped is None:
            return ipaddress.ip_network(entry)
        length = written.network.prefixlen - MAPPED_PREFIX_BITS
        if length >= 0:
            return ipaddress.ip_network(f"{mapped}/{length}")
    except ValueError:
        raise ValueError(f"{entry[:60]!r} is no network such as 192.0.2.0/24 or 2001:db8::/32") from None
    raise ValueError(
        f"{entry[:60]!r} is IPv4 written as IPv6, where the length must be {MAPPED_PREFIX_BITS} or more: "
        "write it as IPv4, such as 192.0.2.0/24"
    )


def address(text: str) -> Address | None:
    """Parse the address in "address", "address:port" or "[address]:port"; None for anything else. IPv4 in IPv6 is IPv4,
    and a zone ("%eth0") is left out: it means something on one machine alone, and its sender chooses it."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


@lru_cache(maxsize=4096)
def peer_address(peer: str) -> Address | None:
    """The address of a connection's peer; cached, since a server keeps its connections."""
    host, _, port = peer.rpartition(":")
    return address(host if port.isdigit() and host else peer)


@lru_cache(maxsize=4096)
def is_inside(client: Address | None, allowed: tuple[Network, ...]) -> bool:
    """Whether an address is in one of the networks; None is in none."""
    return client is not None and any(client in network for network in allowed)


@lru_cache(maxsize=4096)
def parsed(entries: tuple[str, ...]) -> tuple[Network, ...]:
    """`networks` of what the database holds, which was checked before it was written; cached."""
    return networks(entries)


def _joined_lines(request: RequestInfo, name: str) -> str | None:
    """All lines of a header joined with commas, in their order; None without one. One that cannot be read is "", which
    is no address and no scheme: whoever sent it must not have it taken for absent."""
    headers = request.raw_headers
    if name not in headers:
        return None
    return ",".join(headers.get_all(name))


def rate_limit_network(client: Address | None) -> str:
    """The network by which an unidentified caller is rate-limited: /24 of IPv4, /56 of IPv6 (one household's)."""
    if client is None:
        return "unknown"
    length = 24 if client.version == 4 else 56
    return str(ipaddress.ip_network((client, length), strict=False))


class TrustedProxies:
    """Evaluates X-Forwarded headers by the proxies that this installation trusts, and the networks of plain HTTP."""

    def __init__(self, trusted: tuple[Network, ...] = (), plain: tuple[Network, ...] = ()) -> None:
        """`trusted`: networks of our own proxies; `plain`: networks whose plain HTTP is as good as encrypted."""
        self._trusted, self._plain = trusted, plain
        self._peers: dict[str, tuple[bool, bool, bool]] = {}

    def accepts_keys(self, request: RequestInfo) -> bool:
        """Whether a key may travel on this request: encrypted, from this machine, or from a network that is allowed."""
        if request.scheme == "https":
            return True
        # By connection: what an address is takes longer to find out than all the rest of letting somebody in.
        peer = request.peer
        known = self._peers.get(peer)
        if known is None:
            known = self._classify_peer(peer)
        trusted, allowed, local = known
        headers = request.raw_headers
        if trusted:
            # What nearly every request says; then whatever else may be said.
            return (
                headers.get_all(FORWARDED_PROTO) == ["https"]
                or self.is_encrypted(request)
                or self.allows_plain_http(request)
            )
        return allowed or (local and FORWARDED_FOR not in headers and FORWARDED_PROTO not in headers)

    def _classify_peer(self, peer: str) -> tuple[bool, bool, bool]:
        if len(self._peers) >= PEERS_CACHED_MAX:
            self._peers.clear()
        address = peer_address(peer)
        known = self._peers[peer] = (self._is_trusted(address), *self._plain_or_loopback(address))
        return known

    def client(self, request: RequestInfo) -> Address | None:
        """The client's address; None when it cannot be told."""
        peer = peer_address(request.peer)
        if not self._is_trusted(peer):
            return peer
        forwarded = _joined_lines(request, FORWARDED_FOR)
        if forwarded is None:
            return peer
        for entry in reversed(forwarded.rsplit(",", HOPS_MAX)):
            peer = address(entry)
            if not self._is_trusted(peer):
                break
        return peer

    def is_encrypted(self, request: RequestInfo) -> bool:
        """Whether the client spoke TLS, to us or to a trusted proxy that says so."""
        if request.scheme == "https":
            return True
        if not self._is_trusted(peer_address(request.peer)):
            return False
        # A chain of proxies may list one scheme each: the nearest to the client comes first, and all must agree.
        schemes = (_joined_lines(request, FORWARDED_PROTO) or "").lower().split(",")
        return all(entry.strip() == "https" for entry in schemes)

    def is_told_no_scheme(self, request: RequestInfo) -> bool:
        """Whether a proxy of ours has brought a request without saying by which scheme it came."""
        return FORWARDED_PROTO not in request.raw_headers and self._is_trusted(peer_address(request.peer))

    def allows_plain_http(self, request: RequestInfo) -> bool:
        """Whether a key may come unencrypted on this request: from this machine, or from a network that is allowed."""
        allowed, local = self._plain_or_loopback(self.client(request))
        return allowed or (local and not self._is_forwarded(request))

    def trusts(self, host: str) -> bool:
        """Whether an address is that of a proxy of ours."""
        return self._is_trusted(address(host))

    def _is_trusted(self, peer: Address | None) -> bool:
        """Whether a peer is a proxy of ours."""
        return bool(self._trusted) and is_inside(peer, self._trusted)

    def _plain_or_loopback(self, client: Address | None) -> tuple[bool, bool]:
        """Whether an address lies in a network allowed to use plain HTTP, and whether it is a loopback address."""
        return is_inside(client, self._plain), client is not None and client.is_loopback

    def _is_forwarded(self, request: RequestInfo) -> bool:
        """Whether a request from this machine was forwarded: a proxy brought it and does not say whose it is, or
        nobody has told us (in TRUSTED_PROXIES) to believe it."""
        headers = request.raw_headers
        if self._is_trusted(peer_address(request.peer)):
            return FORWARDED_PROTO in headers and FORWARDED_FOR not in headers
        return FORWARDED_FOR in headers or FORWARDED_PROTO in headers
