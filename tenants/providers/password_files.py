"""Decrypts password-protected key files: .p12 (PKCS #12, RFC 7292) and PEM with encrypted keys. Pure.

Such a file itself says how many rounds its password takes, so opening a hostile one can occupy a process for days: only
the child process of tenants/credentials/upload_process.py opens what people upload.
"""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from tenants.problem import ProblemError
from tenants.providers import pem


def p12_to_pem(data: bytes, password: str) -> bytes:
    """The certificates and the private key of a .p12 file as plain PEM. Raises ProblemError."""
    # Some programs write "no password" as an empty one, some as none at all.
    for attempt in (password.encode(),) if password else (None, b""):
        try:
            key, certificate, others = pkcs12.load_key_and_certificates(data, attempt)
        except UnsupportedAlgorithm:
            raise ProblemError(
                "the .p12 file uses a cipher that is no longer supported: export it again with AES"
            ) from None
        except ValueError:
            continue
        if key is None:
            raise ProblemError("the .p12 file holds no private key: export the certificate together with its key")
        if certificate is None:
            raise ProblemError(
                "the .p12 file holds no certificate of its key: export the certificate together with its key"
            )
        chain = [one.public_bytes(serialization.Encoding.PEM) for one in (certificate, *others)]
        return b"".join([*chain, pem.to_text(key).encode()])
    raise ProblemError("the .p12 file cannot be opened: is it one, and is the password right?")


def decrypted(data: bytes, password: str) -> bytes:
    """A PEM file with its encrypted private keys decrypted; all else stays. Raises ProblemError."""
    parts = []
    for name, block in pem.blocks(data):
        if not name.endswith(b"PRIVATE KEY"):
            parts.append(block + b"\n")
            continue
        try:
            # Whether its primes are some is looked at when the key is read for good.
            key = serialization.load_pem_private_key(block, password.encode(), unsafe_skip_rsa_key_validation=True)
            parts.append(pem.to_text(key).encode())
        except TypeError:
            parts.append(block + b"\n")  # This key needs no password.
        except UnsupportedAlgorithm:
            raise ProblemError(
                "the private key is encrypted with a cipher that is not supported: export it again with AES"
            ) from None
        except ValueError:
            raise ProblemError("the private key cannot be opened: is the password right?") from None
    return b"".join(parts)
