"""Where a request comes from, and whether it came encrypted: the only file that reads X-Forwarded headers.

What a header says counts only when the peer of the connection is a trusted proxy (settings.TRUSTED_PROXIES), and then
X-Forwarded-For is read from the right: each trusted proxy has appended the address that it saw, so the first address
from the right that is no trusted proxy is the client's; whatever stands left of it anybody may have written.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Protocol

FOR: Final = "x-forwarded-for"
PROTO: Final = "x-forwarded-proto"
# Connections whose answer is remembered.
KNOWN_MOST: Final = 4096
# Proxies that may stand in a row; who comes from behind more of them is nobody we know.
HOPS_MOST: Final = 20
# Bits before the IPv4 address in one of IPv6 that stands for it (::ffff:192.0.2.1).
MAPPED: Final = 96

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Headers(Protocol):
    """Headers by lower case, as granian has them: `get` knows the first line of a name alone, and leaves out, as
    `get_all` does, a line that is not printable ASCII."""

    def __contains__(self, name: str) -> bool: ...

    def get_all(self, name: str) -> list[str]: ...


class Asked(Protocol):
    """What is asked of a request: its connection's peer ("address:port") and scheme, and headers by lower case."""

    @property
    def peer(self) -> str: ...

    @property
    def scheme(self) -> str: ...

    @property
    def raw_headers(self) -> Headers: ...

    def headers_get(self, name: str) -> str | None: ...


def networks(entries: Iterable[str]) -> tuple[Network, ...]:
    """Networks and single addresses as people write them; IPv4 in IPv6 is IPv4, as it is in `address`.

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
        length = written.network.prefixlen - MAPPED
        if length >= 0:
            return ipaddress.ip_network(f"{mapped}/{length}")
    except ValueError:
        raise ValueError(f"{entry[:60]!r} is no network such as 192.0.2.0/24 or 2001:db8::/32") from None
    raise ValueError(
        f"{entry[:60]!r} is IPv4 written as IPv6, where the length must be {MAPPED} or more: "
        "write it as IPv4, such as 192.0.2.0/24"
    )


def address(text: str) -> Address | None:
    """The address in "address", "address:port" or "[address]:port"; None for anything else. IPv4 in IPv6 is IPv4, and
    a zone ("%eth0") is left out: it means something on one machine alone, and its sender chooses it."""
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
    """Whether an address lies in one of the networks; one that is not known lies in none."""
    return client is not None and any(client in network for network in allowed)


@lru_cache(maxsize=4096)
def parsed(entries: tuple[str, ...]) -> tuple[Network, ...]:
    """`networks` of what the database holds, which was checked before it was written; cached."""
    return networks(entries)


def _told(request: Asked, name: str) -> str | None:
    """What all lines of a header say together, in their order; None without one. One that cannot be read says "", which
    is no address and no scheme: whoever sent it must not have it taken for absent."""
    headers = request.raw_headers
    if name not in headers:
        return None
    return ",".join(headers.get_all(name))


def source(client: Address | None) -> str:
    """The network that an unknown caller is counted by: /24 of IPv4, /56 of IPv6 (what one household gets)."""
    if client is None:
        return "unknown"
    length = 24 if client.version == 4 else 56
    return str(ipaddress.ip_network((client, length), strict=False))


class Doorway:
    """Reads requests as one installation has to: which proxies it trusts, and from where plain HTTP will do."""

    def __init__(self, trusted: tuple[Network, ...] = (), plain: tuple[Network, ...] = ()) -> None:
        """`trusted`: networks of our own proxies; `plain`: networks whose plain HTTP is as good as encrypted."""
        self._trusted, self._plain = trusted, plain
        self._known: dict[str, tuple[bool, bool, bool]] = {}

    def takes_keys(self, request: Asked) -> bool:
        """Whether a key may travel on this request: encrypted, from this machine, or from a network that is allowed."""
        if request.scheme == "https":
            return True
        # By connection: what an address is takes longer to find out than all the rest of letting somebody in.
        peer = request.peer
        known = self._known.get(peer)
        if known is None:
            known = self._look_at(peer)
        trusted, allowed, local = known
        headers = request.raw_headers
        if trusted:
            # What nearly every request says; then whatever else may be said.
            return headers.get_all(PROTO) == ["https"] or self.is_encrypted(request) or self.may_be_plain(request)
        return allowed or (local and FOR not in headers and PROTO not in headers)

    def _look_at(self, peer: str) -> tuple[bool, bool, bool]:
        if len(self._known) >= KNOWN_MOST:
            self._known.clear()
        address = peer_address(peer)
        known = self._known[peer] = (self._is_trusted(address), *self._is_near(address))
        return known

    def client(self, request: Asked) -> Address | None:
        """The client's address; None when it cannot be told."""
        peer = peer_address(request.peer)
        if not self._is_trusted(peer):
            return peer
        told = _told(request, FOR)
        if told is None:
            return peer
        for entry in reversed(told.rsplit(",", HOPS_MOST)):
            peer = address(entry)
            if not self._is_trusted(peer):
                break
        return peer

    def is_encrypted(self, request: Asked) -> bool:
        """Whether the client spoke TLS, to us or to a trusted proxy that says so."""
        if request.scheme == "https":
            return True
        if not self._is_trusted(peer_address(request.peer)):
            return False
        # A chain of proxies may list one scheme each: the nearest to the client comes first, and all must agree.
        told = (_told(request, PROTO) or "").lower().split(",")
        return all(entry.strip() == "https" for entry in told)

    def may_be_plain(self, request: Asked) -> bool:
        """Whether a key may come unencrypted on this request: from this machine, or from a network that is allowed."""
        allowed, local = self._is_near(self.client(request))
        return allowed or (local and not self._is_passed_on(request))

    def _is_trusted(self, peer: Address | None) -> bool:
        """Whether a peer is a proxy of ours."""
        return bool(self._trusted) and is_inside(peer, self._trusted)

    def _is_near(self, client: Address | None) -> tuple[bool, bool]:
        """Whether an address lies in a network that is allowed, and whether it is this machine's."""
        return is_inside(client, self._plain), client is not None and client.is_loopback

    def _is_passed_on(self, request: Asked) -> bool:
        """Whether a request from this machine is somebody else's: a proxy brought it and does not say whose it is, or
        nobody has told us (in TRUSTED_PROXIES) to believe it."""
        headers = request.raw_headers
        if self._is_trusted(peer_address(request.peer)):
            return PROTO in headers and FOR not in headers
        return FOR in headers or PROTO in headers
