"""TLS certificate of the web server and its reloading: the last pair of files that was good, held in memory.

Invariant: what is handed out is a certificate with its own key. Files that are half written, unreadable or do not
belong together are refused, and the pair before them stays; a process that is started again gets the same pair,
whatever stands in the files by then. The key is on no disk but the one it came from.
"""

import logging
import os
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path

logger = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int, int], ...]
# Seconds until a pair that no process could be started with is tried again.
RETRY_SECONDS = 60.0


class CertificateError(Exception):
    """The files are no certificate with its private key; the text says what is wrong with them."""


@dataclass
class Pair:
    """A certificate chain and its private key as paths that this process and those forked from it can open."""

    certificate: str
    key: str
    _files: list[int] = field(default_factory=list, repr=False)

    def close(self) -> None:
        """Close the memory files; the paths mean nothing afterwards."""
        while self._files:
            os.close(self._files.pop())


def _in_memory(name: str, content: bytes) -> int:
    number = os.memfd_create(name, os.MFD_CLOEXEC)
    os.write(number, content)
    return number


def load(certificate: Path, key: Path) -> Pair:
    """Read and check both (PEM, the certificate first in its chain, the key unencrypted). Raises CertificateError."""
    try:
        contents = [path.read_bytes() for path in (certificate, key)]
    except OSError as error:
        raise CertificateError(f"{error.filename} cannot be read: {error.strerror}") from error
    files = [_in_memory(name, content) for name, content in zip(("certificate", "key"), contents, strict=True)]
    pair = Pair(f"/proc/self/fd/{files[0]}", f"/proc/self/fd/{files[1]}", files)
    try:
        # The empty password keeps OpenSSL from asking for one at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pair.certificate, pair.key, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        pair.close()
        raise CertificateError(
            f"{certificate} and {key} are not a certificate and its unencrypted key, both PEM ({error})"
        ) from error
    return pair


class CertificateReloader:
    """Polls the files for a renewed certificate.

    A change counts once the files have held still from one look to the next: most tools write them one by one.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load the pair to begin with. Raises CertificateError: a start without a certificate is no start."""
        self._paths = (certificate, key)
        self._accepted_stamp = self._seen_stamp = self._stamp()
        self._logged_failure = ""
        self._not_before = 0.0
        self.pair = load(certificate, key)

    def _stamp(self) -> Stamp:
        """Modification times and inodes of the files; () while one is missing. Symbolic links are followed."""
        try:
            found = [os.stat(path) for path in self._paths]
        except OSError:
            return ()
        return tuple((stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino) for stat in found)

    def poll(self) -> Pair | None:
        """A new good pair, or None. The caller calls `accept` when it is in use, or `reject`."""
        stamp, before = self._stamp(), self._seen_stamp
        self._seen_stamp = stamp
        if stamp != before:
            self._not_before = 0.0
            return None
        if stamp == self._accepted_stamp or time.monotonic() < self._not_before:
            return None
        return self.read()

    def read(self) -> Pair | None:
        """Load the files now; None and a line in the log when they cannot be used."""
        try:
            return load(*self._paths)
        except CertificateError as error:
            self._log_failure(str(error))
            return None

    def reject(self, pair: Pair) -> None:
        """Reject a pair with which no process could be started, though OpenSSL loads it; retried after a while."""
        pair.close()
        self._not_before = time.monotonic() + RETRY_SECONDS
        self._log_failure("no web process could be started with the new one")

    def _log_failure(self, reason: str) -> None:
        if reason != self._logged_failure:
            # Once for each reason; the look itself is repeated every second.
            logger.error("the certificate stays as it was: %s; looking again until it can be used", reason)
            self._logged_failure = reason

    def accept(self, pair: Pair) -> None:
        """Accept a pair: it is in use from now on."""
        old, self.pair = self.pair, pair
        old.close()
        self._accepted_stamp = self._seen_stamp
        self._logged_failure = ""
