"""TLS certificate of the web server and its renewal: the last pair of files that was good, held in memory.

The parent reads the files and checks them; its processes get what was good through their control sockets and use it
from the next handshake on (child_process.py, draining.py). Invariant: what is handed out is a certificate with its own
key, with which a client can connect. Files that are half written, unreadable or do not belong together are refused,
and the pair before them stays; a process that is started again gets the same pair, whatever stands in the files by
then. The key is on no disk but the one it came from.
"""

import logging
import os
import ssl
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int, int], ...]
# Bytes of a pair, which is handed on in one message: a chain of a few certificates has less than 20,000.
PAIR_MAX: Final = 100_000
# Steps of a handshake in memory; TLS 1.2 takes four.
_STEPS: Final = 6


class CertificateError(Exception):
    """The files are no certificate with its private key; the text says what is wrong with them."""


def load(certificate: Path, key: Path) -> bytes:
    """Read and check both (PEM, the certificate first in its chain, the key unencrypted); returns the pair as one PEM.
    Raises CertificateError."""
    try:
        pair = b"\n".join(path.read_bytes() for path in (certificate, key))
    except OSError as error:
        raise CertificateError(f"{error.filename} cannot be read: {error.strerror}") from error
    if len(pair) > PAIR_MAX:
        raise CertificateError(f"{certificate} and {key} have more than {PAIR_MAX:,} bytes")
    try:
        tls = context(pair)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise CertificateError(
            f"{certificate} and {key} are not a certificate and its unencrypted key, both PEM ({error})"
        ) from error
    try:
        _try_handshake(tls)
    except ssl.SSLError as error:
        raise CertificateError(f"no client could connect with {certificate} ({error})") from error
    return pair


def context(pair: bytes) -> ssl.SSLContext:
    """The server's TLS context for a pair: TLS 1.2 and 1.3. Raises SSLError or ValueError when it is none.

    A new context for each pair, for one that has a certificate keeps it beside a later one with another kind of key.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    # No session tickets: Go's client keeps none unless it is told to, so each would be made for nobody.
    tls.options |= ssl.OP_NO_TICKET
    tls.num_tickets = 0
    file = os.memfd_create("pair", os.MFD_CLOEXEC)
    try:
        os.write(file, pair)
        # The empty password keeps OpenSSL from asking for one at the terminal.
        tls.load_cert_chain(f"/proc/self/fd/{file}", password="")
    finally:
        os.close(file)
    return tls


def _try_handshake(tls: ssl.SSLContext) -> None:
    """Connect to ourselves in memory, as a client of common kind. Raises SSLError when that fails."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    common = ssl.create_default_context()
    common.check_hostname, common.verify_mode = False, ssl.CERT_NONE
    ends = [
        tls.wrap_bio(to_server, to_client, server_side=True),
        common.wrap_bio(to_client, to_server, server_hostname="localhost"),
    ]
    for _ in range(_STEPS):
        for end in reversed(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    for end in ends:
        if end.version() is None:
            raise ssl.SSLError("the handshake does not end")


class CertificateReloader:
    """Polls the files for a renewed certificate.

    A change counts once the files have held still from one look to the next: most tools write them one by one.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load the pair to begin with. Raises CertificateError: a start without a certificate is no start."""
        self._paths = (certificate, key)
        self._accepted_stamp = self._seen_stamp = self._stamp()
        self._logged_failure = ""
        self.pair = load(certificate, key)

    def _stamp(self) -> Stamp:
        """Modification times and inodes of the files; () while one is missing. Symbolic links are followed."""
        try:
            found = [os.stat(path) for path in self._paths]
        except OSError:
            return ()
        return tuple((stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino) for stat in found)

    def poll(self) -> bool:
        """Look at the files; whether there is a new good pair in `pair`."""
        stamp, before = self._stamp(), self._seen_stamp
        self._seen_stamp = stamp
        return stamp == before and stamp != self._accepted_stamp and self.read()

    def read(self) -> bool:
        """Read the files now; false, and a line in the log, when they cannot be used: `pair` stays."""
        try:
            pair = load(*self._paths)
        except CertificateError as error:
            if str(error) != self._logged_failure:
                # Once for each reason; the look itself is repeated every second.
                logger.error("the certificate stays as it was: %s; looking again until it can be used", error)
                self._logged_failure = str(error)
            return False
        is_new, self.pair = pair != self.pair, pair
        self._accepted_stamp, self._logged_failure = self._seen_stamp, ""
        return is_new
