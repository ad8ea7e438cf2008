"""The two public documents of a Mattermost site, as it answers them or as somebody pasted them. Pure.

`GET /api/v4/config/client?format=old` and `GET /api/v4/license/client?format=old` need no login; each is one JSON
object of strings. Their texts are a stranger's: they are cut to a line, and shown as text.
"""

import json
import re
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from tenants.problem import ProblemError
from tenants.proofs import signatures

CONFIG_PATH: Final = "/api/v4/config/client?format=old"
LICENCE_PATH: Final = "/api/v4/license/client?format=old"
# Bytes of one document; a real one has some 15 KB.
SIZE_MAX: Final = 256 * 1024
_SERVER_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_USERS_MAX: Final = 100_000_000


class Documents(NamedTuple):
    """What the documents say: server_id (DiagnosticId), SiteURL, the public key as signatures.public_key spells it,
    version, and of the licence whether there is one, its SKU, company and seats (None: not said), and whether a trial.
    """

    mattermost_id: str
    site_url: str
    public_key: str
    version: str
    licensed: bool
    sku: str
    company: str
    users: int | None
    trial: bool


class Address(NamedTuple):
    """Where a site is: host, port, and the path that it stands below, "" or such as "/chat"."""

    host: str
    port: int
    path: str

    @property
    def text(self) -> str:
        """The address without its scheme, as it is kept: "chat.example.com", "chat.example.com:8443/chat"."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}{'' if self.port == HTTPS else f':{self.port}'}{self.path}"


HTTPS: Final = 443
# Characters of an address as it is kept.
ADDRESS_MAX: Final = 300
# Other ports below it are no web server's: nobody shall try them out by way of us.
PORT_MIN: Final = 1024


def address(text: str) -> Address:
    """The address of a site as people write it; https is meant where nothing is said. Raises ProblemError."""
    text = text.strip()
    if "://" not in text:
        text = f"https://{text}"
    wrong = ProblemError(f"{text[:100]!r} is no address of a site, which looks like https://chat.example.com")
    try:
        parts = urlsplit(text)
        port = HTTPS if parts.port is None else parts.port
        host = (parts.hostname or "").rstrip(".").encode("idna").decode("ascii").lower()
    except ValueError:  # UnicodeError is one
        raise wrong from None
    if parts.scheme != "https":
        raise ProblemError("the address must begin with https://: what comes over plain HTTP anybody may have changed")
    if not re.fullmatch(r"[a-z0-9.:_-]{1,253}", host) or parts.username or parts.password or parts.query:
        raise wrong
    if port != HTTPS and port < PORT_MIN:
        raise ProblemError(f"the port of a site is {HTTPS}, or one from {PORT_MIN} on")
    path = parts.path.rstrip("/")
    if not re.fullmatch(r"[A-Za-z0-9/._~-]{0,200}", path):
        raise wrong
    found = Address(host, port, path)
    if len(found.text) > ADDRESS_MAX:
        raise wrong
    return found


def read(config: bytes | str, licence: bytes | str | None, *, asked: Address | None = None) -> Documents:
    """Read both documents; a missing licence says nothing of one. Raises ProblemError.

    `asked`: where they were fetched; SiteURL must name the same host, so that a site speaks for itself alone.
    """
    given = _members(config, "the configuration")
    key, mattermost_id = given.get("AsymmetricSigningPublicKey", ""), given.get("DiagnosticId", "")
    if not _SERVER_ID.fullmatch(mattermost_id):
        raise ProblemError("the configuration has no DiagnosticId: it is not that of a Mattermost server")
    try:
        public_key = signatures.public_key(key)
    except signatures.BadKey as error:
        raise ProblemError(f"the configuration's AsymmetricSigningPublicKey is not one ({error})") from error
    site_url = _line(given.get("SiteURL", ""), 300)
    if asked is not None:
        _same_host(site_url, asked)
    terms = _members(licence, "the licence") if licence is not None else {}
    licensed = terms.get("IsLicensed") == "true"
    users = terms.get("Users", "")
    return Documents(
        mattermost_id=mattermost_id,
        site_url=site_url,
        public_key=public_key,
        version=_line(given.get("Version", ""), 40),
        licensed=licensed,
        sku=_line(terms.get("SkuShortName", ""), 40) if licensed else "",
        company=_line(terms.get("Company", ""), 200) if licensed else "",
        users=int(users) if licensed and re.fullmatch(r"[0-9]{1,9}", users) and int(users) <= _USERS_MAX else None,
        trial=licensed and terms.get("IsTrial") == "true",
    )


def _same_host(site_url: str, asked: Address) -> None:
    try:
        parts = urlsplit(site_url)
        host, port = (parts.hostname or "").rstrip(".").encode("idna").decode("ascii").lower(), parts.port
    except ValueError:
        host, port = "", None
    if host != asked.host or (port is not None and port != asked.port):
        said = f"it says {host or 'nothing'}{f':{port}' if port else ''}"
        raise ProblemError(
            f"the SiteURL of {asked.text} is another host's ({said}): give the address that Mattermost's SiteURL names"
        )


def _members(document: bytes | str, what: str) -> dict[str, str]:
    """The members of a document that are text. Raises ProblemError."""
    if len(document) > SIZE_MAX:
        raise ProblemError(f"{what} is larger than {SIZE_MAX // 1024} KB")
    try:
        found: Any = json.loads(document)
    except (ValueError, RecursionError):  # UnicodeDecodeError is one
        raise ProblemError(f"{what} is no JSON: copy the whole of what the address shows") from None
    if not isinstance(found, dict):
        raise ProblemError(f"{what} is no JSON object: copy the whole of what the address shows")
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _line(text: str, most: int) -> str:
    """A stranger's text on one line, without what cannot be printed."""
    return "".join(each if each.isprintable() else " " for each in text).strip()[:most]
