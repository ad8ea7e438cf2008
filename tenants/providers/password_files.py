"""Decrypts password-protected key files, .p12 (PKCS #12, RFC 7292) and PEM, in a child process with little time.

Such a file itself says how many rounds its password takes, so opening a hostile one could occupy a process for days.
The child gets file and password by its standard input, never by its arguments, which others on the machine can see.
"""

import base64
import json
import re
import resource
import subprocess
import sys
import threading
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12

SECONDS: Final = 10.0
_MEMORY: Final = 1 << 30
# Children at once in one process: each takes a processor and much memory for as long as it may.
AT_ONCE: Final = 2
# Seconds to wait for one of them to end: a good file takes less than one.
WAIT: Final = 3.0
_free: Final = threading.BoundedSemaphore(AT_ONCE)
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


class LockedError(Exception):
    """The file cannot be opened; the text says why in plain words."""


def to_pem(data: bytes, password: str, *, seconds: float = SECONDS) -> bytes:
    """The certificates and the private key of a .p12 or PEM file as plain PEM, within `seconds`. Raises LockedError."""
    order = json.dumps({"data": base64.b64encode(data).decode(), "password": password, "seconds": int(seconds) + 1})
    if not _free.acquire(timeout=min(WAIT, seconds)):
        raise LockedError("the service is opening other files: upload it again in a minute")
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and file
            [sys.executable, "-I", __file__], input=order.encode(), capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise LockedError(
            f"the file cannot be opened within {seconds:g} seconds: export it with fewer rounds"
        ) from None
    finally:
        _free.release()
    if done.returncode:
        raise LockedError("the file cannot be opened: export it again")
    answer = json.loads(done.stdout)
    if "problem" in answer:
        raise LockedError(answer["problem"])
    return str(answer["pem"]).encode()


def _open(data: bytes, password: str) -> dict[str, str]:
    opened = _pem_parts(data, password.encode()) if b"-----BEGIN" in data else _p12_parts(data, password.encode())
    return {"problem": opened} if isinstance(opened, str) else {"pem": b"".join(opened).decode()}


def _p12_parts(data: bytes, password: bytes) -> list[bytes] | str:
    # Some programs write "no password" as an empty one, some as none at all.
    for attempt in (password,) if password else (None, b""):
        try:
            key, certificate, others = pkcs12.load_key_and_certificates(data, attempt)
        except UnsupportedAlgorithm:
            return "the .p12 file uses a cipher that is no longer supported: export it again with AES"
        except ValueError:
            continue
        if key is None:
            return "the .p12 file holds no private key: export the certificate together with its key"
        if certificate is None:
            return "the .p12 file holds no certificate of its key: export the certificate together with its key"
        return [*(one.public_bytes(serialization.Encoding.PEM) for one in (certificate, *others)), _plain(key)]
    return "the .p12 file cannot be opened: is it one, and is the password right?"


def _pem_parts(data: bytes, password: bytes) -> list[bytes] | str:
    parts = []
    for found in _BLOCK.finditer(data):
        if not found[1].endswith(b"PRIVATE KEY"):
            parts.append(found[0] + b"\n")
            continue
        try:
            parts.append(_plain(serialization.load_pem_private_key(found[0], password)))
        except TypeError:
            parts.append(found[0] + b"\n")  # This key needs no password.
        except UnsupportedAlgorithm:
            return "the private key is encrypted with a cipher that is not supported: export it again with AES"
        except ValueError:
            return "the private key cannot be opened: is the password right?"
    return parts


def _plain(key: PrivateKeyTypes) -> bytes:
    encryption = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _main() -> None:
    order = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    # Should the parent be killed first, the child still ends.
    resource.setrlimit(resource.RLIMIT_CPU, (order["seconds"], order["seconds"]))
    json.dump(_open(base64.b64decode(order["data"]), order["password"]), sys.stdout)


if __name__ == "__main__":
    _main()
