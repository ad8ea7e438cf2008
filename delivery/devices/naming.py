"""The fingerprint that a device is known by, from what people have of it. Pure.

A device id is kept nowhere: it becomes a fingerprint on the way in. As a server's database and its log have it, its
platform stands before it ("apple_rn-v2:..."); as it came to us, it does not.
"""

import re
from typing import Final

from delivery.log.rows import fingerprint
from tenants.providers.table import PLATFORMS

# Characters of what is typed in: tokens of devices have some hundred.
LONGEST: Final = 2_000
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{32}")
_PREFIX: Final = re.compile(rf"(?:{'|'.join(PLATFORMS)})[\w.-]*:")


class NoDeviceError(ValueError):
    """This is no device id; the text says why, as a sentence."""


def fingerprint_of(text: str, hash_key: bytes) -> str:
    """The fingerprint (32 hex digits) of a device id, with its platform before it or without, or of a fingerprint
    itself. Raises NoDeviceError."""
    bare = "".join(text.split())
    if not bare:
        raise NoDeviceError("Enter the device id of a phone.")
    if len(bare) > LONGEST:
        raise NoDeviceError(f"A device id has no more than {LONGEST:,} characters: this has {len(bare):,}.")
    if _FINGERPRINT.fullmatch(bare):
        return bare
    token = _PREFIX.sub("", bare, count=1) if _PREFIX.match(bare) else bare
    if not token:
        raise NoDeviceError("This is a platform without a device id: copy what stands behind the colon, too.")
    return fingerprint(token, hash_key)
