"""Fetching of a site's public documents, under guard against server-side request forgery: others choose the address.

Invariants: https alone, with the certificate checked against the name; the name is resolved once and the connection
goes to an address that was looked at, so that a name that changes its mind (DNS rebinding) gains nothing; only public
addresses, and those that SITE_PRIVATE_NETWORKS names; a redirect stays at the same host and port; five seconds and
256 KiB for each of the two documents at most, five seconds for both together; no proxy of the environment.
"""

import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urljoin, urlsplit

import h11
from django.conf import settings

from tenants import network
from tenants.problem import ProblemError
from tenants.proofs import documents
from tenants.proofs.documents import Address, Documents

# Seconds for everything: the name, the connections, and both documents.
SECONDS: Final = 5.0
REDIRECTS_MAX: Final = 3
# Addresses of a name that are tried, one after the other.
ADDRESSES_MAX: Final = 4
# Names that are being resolved in one process at a time: a resolver may keep its thread longer than we wait.
RESOLVING_MAX: Final = 8
_HEAD_MAX: Final = 32 * 1024
_READ: Final = 65_536
# All of IPv6 that is public (RFC 4291, section 2.4): some call global what lies beside it, as site-local addresses do.
_PUBLIC_IPV6: Final = ipaddress.ip_network("2000::/3")
# Of it, ways to IPv4 addresses that nobody has looked at: 6to4, Teredo (NAT64 lies beside it).
_TRANSLATED: Final = tuple(map(ipaddress.ip_network, ("2002::/16", "2001::/32")))
_resolving = threading.BoundedSemaphore(RESOLVING_MAX)

Resolve = Callable[[str, int], Sequence[str]]


def fetch(address: Address, *, resolve: Resolve | None = None, seconds: float = SECONDS) -> Documents:
    """Fetch and read both documents of a site. Raises ProblemError, which says what was wrong with the site.

    `resolve`: in place of the machine's resolver; takes host and port and gives addresses, or raises OSError.
    """
    deadline = time.monotonic() + seconds
    try:
        addresses = allowed(_resolved(address, resolve or _getaddrinfo, deadline), address)
        config = _get(address, addresses, documents.CONFIG_PATH, deadline)
        licence = _get(address, addresses, documents.LICENCE_PATH, deadline)
    except TimeoutError as error:
        raise ProblemError(f"{address.text} did not answer within {seconds:.0f} seconds") from error
    except ssl.SSLCertVerificationError as error:
        raise ProblemError(f"the certificate of {address.text} cannot be trusted ({error.verify_message})") from error
    except (OSError, h11.RemoteProtocolError) as error:  # ssl.SSLError is one
        what = getattr(error, "strerror", None) or "it does not speak HTTP as it should"
        raise ProblemError(f"{address.text} cannot be reached ({what[:100]})") from error
    return documents.read(config, licence, asked=address)


def allowed(addresses: Sequence[str], address: Address) -> list[str]:
    """Those of some IP addresses that may be asked, the first few. Raises ProblemError when there is none."""
    found = [each for each in dict.fromkeys(addresses) if is_allowed(each)][:ADDRESSES_MAX]
    if not found:
        raise ProblemError(
            f"{address.text} has no public address: paste the documents from a browser that can open the site"
        )
    return found


def is_allowed(text: str) -> bool:
    """Whether an IP address is public, or in one of the networks of SITE_PRIVATE_NETWORKS."""
    found = network.address(text)
    if found is None:
        return False
    if network.is_inside(found, settings.SITE_PRIVATE_NETWORKS):
        return True
    if isinstance(found, ipaddress.IPv6Address) and (
        found not in _PUBLIC_IPV6 or any(found in each for each in _TRANSLATED)
    ):
        return False
    # What ipaddress calls global holds multicast and, by its version, some that are reserved.
    return found.is_global and not (
        found.is_multicast or found.is_reserved or found.is_private or found.is_loopback or found.is_link_local
    )


def _resolved(address: Address, resolve: Resolve, deadline: float) -> Sequence[str]:
    """The addresses of a name, by a thread that is left behind when its resolver takes longer than the deadline."""
    if not _resolving.acquire(timeout=_remaining(deadline)):
        raise TimeoutError
    answer: queue.SimpleQueue[Sequence[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(resolve(address.host, address.port))
        except OSError as error:
            answer.put(error)
        finally:
            _resolving.release()

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    try:
        found = answer.get(timeout=_remaining(deadline))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(found, OSError):
        raise ProblemError(f"the name {address.host} is not known") from found
    return found


def _getaddrinfo(host: str, port: int) -> Sequence[str]:
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except UnicodeError as error:  # a label that is empty or too long
        raise OSError(str(error)) from error


def _get(address: Address, addresses: Sequence[str], path: str, deadline: float) -> bytes:
    """The body of a document; follows redirects at the same host and port."""
    target = f"{address.path}{path}"
    for _ in range(REDIRECTS_MAX + 1):
        status, location, body = _request(address, addresses, target, deadline)
        if status == 200:
            return body
        if not 300 <= status < 400 or not location:
            raise ProblemError(f"{address.text} answers {path.partition('?')[0]} with the status {status}")
        target = _redirected(address, target, location)
    raise ProblemError(f"{address.text} redirects more than {REDIRECTS_MAX} times")


def _redirected(address: Address, target: str, location: str) -> str:
    """The path of a redirect. Raises ProblemError for one to somewhere else."""
    base = f"https://{_host(address)}:{address.port}"
    try:
        there = urlsplit(urljoin(f"{base}{target}", location))
        same = (there.scheme, there.hostname, there.port or documents.HTTPS) == ("https", address.host, address.port)
    except ValueError:
        same = False
    if not same:
        raise ProblemError(f"{address.text} redirects to another host: ask at the address that its SiteURL names")
    found = (there.path or "/") + (f"?{there.query}" if there.query else "")
    if not found.isascii() or not found.isprintable() or " " in found:
        raise ProblemError(f"{address.text} redirects to an address that cannot be read")
    return found


def _host(address: Address) -> str:
    """The host as a URL has it."""
    return f"[{address.host}]" if ":" in address.host else address.host


def _request(address: Address, addresses: Sequence[str], target: str, deadline: float) -> tuple[int, str, bytes]:
    """Status, Location and body of one GET on a connection of its own."""
    port = "" if address.port == documents.HTTPS else f":{address.port}"
    head = h11.Request(
        method="GET",
        target=target,
        headers=[
            ("Host", f"{_host(address)}{port}"),
            ("User-Agent", "hpns"),
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
        ],
    )
    with _connect(address, addresses, deadline) as sock:
        exchange = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_MAX)
        sock.settimeout(_remaining(deadline))
        sock.sendall((exchange.send(head) or b"") + (exchange.send(h11.EndOfMessage()) or b""))
        status, location, body = 0, "", bytearray()
        while True:
            event = exchange.next_event()
            if event is h11.NEED_DATA:
                sock.settimeout(_remaining(deadline))
                exchange.receive_data(sock.recv(_READ))
            elif isinstance(event, h11.Response):
                status = event.status_code
                location = dict(event.headers).get(b"location", b"").decode("latin-1")
                if status != 200:
                    return status, location, b""
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > documents.SIZE_MAX:
                    raise ProblemError(f"{address.text} answers with more than {documents.SIZE_MAX // 1024} KB")
            elif isinstance(event, h11.EndOfMessage):
                return status, location, bytes(body)
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionResetError(0, "it closed the connection")


def _connect(address: Address, addresses: Sequence[str], deadline: float) -> ssl.SSLSocket:
    """A TLS connection to the first address that takes one. Raises OSError or TimeoutError."""
    failed: OSError | None = None
    for place, each in enumerate(addresses):
        share = _remaining(deadline) / (len(addresses) - place)
        try:
            plain = socket.create_connection((each, address.port), timeout=share)
        except OSError as error:
            failed = error
            continue
        try:
            plain.settimeout(_remaining(deadline))
            return _context().wrap_socket(plain, server_hostname=address.host)
        except BaseException:
            plain.close()
            raise
    assert failed is not None  # noqa: S101  there is one address at least
    raise failed


def _context() -> ssl.SSLContext:
    made = ssl.create_default_context()
    if settings.SITE_CA_FILE:
        made.load_verify_locations(settings.SITE_CA_FILE)
    return made


def _remaining(deadline: float) -> float:
    """Seconds until a deadline. Raises TimeoutError when it is past."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
