"""The credentials that the sandbox accepts: keys, certificates and service accounts, from one JSON file.

Invariant: a file that cannot be read never widens or narrows what was accepted before; the fault is reported instead.
"""

import hashlib
import logging
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

log = logging.getLogger(__name__)


class ApnsKey(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An APNs token key: its id, its team, the public half (PEM, P-256) and the bundle ids it may push to."""

    key_id: str
    team_id: str
    public_pem: str
    topics: tuple[str, ...]


class ApnsCertificate(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An APNs client certificate: itself (PEM; then anyone may have signed it) or the SHA-256 of its DER in hex (then
    the sandbox's own CA must have signed it). topics: none means the UID of its subject alone."""

    pem: str = ""
    sha256: str = ""
    topics: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """SHA-256 of the DER in lower-case hex. Raises ValueError on a PEM that is none."""
        if not self.pem:
            return self.sha256.lower()
        return hashlib.sha256(x509.load_pem_x509_certificate(self.pem.encode()).public_bytes(Encoding.DER)).hexdigest()


class FcmAccount(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A Google service account that may push to a project: its address and its public key (PEM, RSA)."""

    project: str
    client_email: str
    public_pem: str


class Listed(msgspec.Struct, forbid_unknown_fields=True):
    """The file's content."""

    apns_keys: list[ApnsKey] = []
    apns_certs: list[ApnsCertificate] = []
    fcm: list[FcmAccount] = []


class Accounts:
    """The file, read again whenever it changes.

    `version` grows with each reading; `error` is "" or what is wrong with the file as it is now.
    """

    def __init__(self, file: Path) -> None:
        """Reads the file. Raises OSError or msgspec.DecodeError (ValueError for a bad certificate): at the start
        there is nothing older to go on with."""
        self.file = file
        self.version = 0
        self.error = ""
        self._stamp = self._look()
        self._read()

    def refresh(self) -> None:
        """Reads the file again if it changed; a bad one leaves the last good content in force and sets `error`."""
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._read()
        except (OSError, ValueError) as fault:  # msgspec's errors are ValueErrors
            problem = f"{self.file.name}: {fault}"
            if problem != self.error:
                log.error("the accounts file cannot be read, the last good one stays in force: %s", problem)
            self.error = problem

    def _look(self) -> tuple[int, int, int]:
        status = self.file.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> None:
        listed = msgspec.json.decode(self.file.read_bytes(), type=Listed)
        certificates = {certificate.fingerprint(): certificate for certificate in listed.apns_certs}
        self.apns_keys = {key.key_id: key for key in listed.apns_keys}
        self.certificates = certificates
        self.fcm = {account.client_email: account for account in listed.fcm}
        self.error = ""
        self.version += 1
