"""Demo credentials, made on the spot: an APNs key, a Firebase service account, and the accounts file that accepts them.

Invariant: making them again in the same folder changes no key; only the token address in the service account and the
accounts file follow what is asked for. None of them is worth anything outside the sandbox.
"""

import json
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from delivery.sandbox.certificates import write_private

KEY_ID = "ABC123DEFG"
TEAM_ID = "TEAM123456"
PROJECT = "demo-project"
CLIENT_EMAIL = f"push@{PROJECT}.iam.gserviceaccount.com"
TOPICS = ("com.mattermost.Mattermost", "com.mattermost.rn", "com.mattermost.rnbeta")


class Demo(msgspec.Struct, frozen=True):
    """Where the demo credentials are: the .p8 file, the service account's JSON, the accounts file of the sandbox."""

    apns_key: Path
    service_account: Path
    accounts: Path
    key_id: str = KEY_ID
    team_id: str = TEAM_ID
    project: str = PROJECT
    client_email: str = CLIENT_EMAIL
    topics: tuple[str, ...] = TOPICS


def make(folder: Path, token_origin: str, accounts: Path | None = None) -> Demo:
    """Makes what is missing and returns where it all is.

    token_origin: `https://host[:port]` of the token endpoint, for the service account's token_uri. accounts: where
    to write the accounts file, by default folder/accounts.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = Demo(folder / f"AuthKey_{KEY_ID}.p8", folder / "service-account.json", accounts or folder / "accounts.json")
    if not made.apns_key.exists():
        write_private(made.apns_key, private_pem(ec.generate_private_key(ec.SECP256R1())))
    if not made.service_account.exists():
        account = service_account(CLIENT_EMAIL, token_origin)
    else:
        account = json.loads(made.service_account.read_bytes()) | {"token_uri": token_origin + "/token"}
    write_private(made.service_account, json.dumps(account, indent=2).encode())
    listed = {
        "apns_keys": [
            {
                "key_id": KEY_ID,
                "team_id": TEAM_ID,
                "public_pem": public_pem(made.apns_key.read_bytes()),
                "topics": TOPICS,
            }
        ],
        "apns_certs": [],
        "fcm": [listed_account(account)],
    }
    write_private(made.accounts, json.dumps(listed, indent=2).encode())
    return made


def service_account(client_email: str, token_origin: str, project: str = PROJECT) -> dict[str, str]:
    """A new service account in the form of Google's key files, with an RSA key of its own."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return {
        "type": "service_account",
        "project_id": project,
        "private_key_id": "demo",
        "private_key": private_pem(key).decode(),
        "client_email": client_email,
        "client_id": "100000000000000000000",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": token_origin + "/token",
    }


def listed_account(account: dict[str, str]) -> dict[str, str]:
    """The entry of the accounts file for a service account."""
    return {
        "project": account["project_id"],
        "client_email": account["client_email"],
        "public_pem": public_pem(account["private_key"].encode()),
    }


def private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """A private key as unencrypted PKCS #8, as Apple and Google hand theirs out."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(private: bytes) -> str:
    """The public half of a private key's PEM."""
    key = load_pem_private_key(private, None)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
