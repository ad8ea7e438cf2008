"""The pushes of the load: channel posts with their text, as a Mattermost server sends them to both kinds of phone.

Made up by a seeded generator, so every machine sends the same ones. Sizes follow a real server's pushes (about 960
bytes for an iPhone, 1,190 for an Android phone, whose token is longer); nothing checks their signatures.
"""

import base64
import json
import random
import string
from pathlib import Path

from delivery.protocol.mattermost_id import ALPHABET

COUNT = 512
TALK = (
    "the build is green again on main but two tests still fail under load so have a look before we ship "
    "it and tell Omar whether Friday works because our customer asked twice about that export already thanks lunch at "
    "noon can somebody restart staging it answers slowly since this morning maybe disk or cache I am not sure yet"
)
WORDS = TALK.split()
GIVEN, FAMILY = ("ines", "omar", "wanda", "jörg"), ("okafor", "lind", "marsh", "sato")
ENDINGS = ("", "", "", "", " :tada:", " :+1:", " :smile:", " <3 & more", " (v2.1)")


def push(random_: random.Random, provider: str) -> bytes:
    """One push as the body of a request; `provider` is "apns" or "fcm"."""
    ack_id, device = _id(random_), _device(random_, provider)
    sender = f"{random_.choice(GIVEN)}.{random_.choice(FAMILY)}"
    text = " ".join(random_.choices(WORDS, k=random_.randint(6, 40))) + random_.choice(ENDINGS)
    fields = {
        "ack_id": ack_id,
        "platform": "apple_rn-v2" if provider == "apns" else "android_rn-v2",
        "server_id": "s4mb9k7iojdjxr3pyfkqa8wtch",
        "device_id": device,
        "post_id": _id(random_),
        "category": "CAN_REPLY",
        "message": f"{sender}: {text}",
        "badge": random_.randint(1, 40),
        "team_id": "t3wh5c9rpbnxueyqmzofgkis1d",
        "channel_id": _id(random_),
        "channel_name": "Town Square",
        "type": "message",
        "sender_id": _id(random_),
        "sender_name": sender,
        "version": "v2",
        "is_crt_enabled": True,
        "is_id_loaded": False,
        "signature": _signature(random_, ack_id, device),
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def write(folder: Path, provider: str) -> Path:
    """Write the pushes of a provider, one a line; returns the file."""
    random_ = random.Random(provider)  # noqa: S311 - the same on every machine is what is wanted
    path = folder / f"{provider}.jsonl"
    path.write_bytes(b"\n".join(push(random_, provider) for _ in range(COUNT)) + b"\n")
    return path


def _id(random_: random.Random) -> str:
    # 16 bytes are 25 characters and 3 bits.
    return "".join(random_.choices(ALPHABET, k=25)) + random_.choice(ALPHABET[::4])


def _device(random_: random.Random, provider: str) -> str:
    if provider == "apns":
        return random_.randbytes(32).hex()
    letters = string.ascii_letters + string.digits + "-_"
    return "".join(random_.choices(letters, k=22)) + ":APA91b" + "".join(random_.choices(letters, k=134))


def _signature(random_: random.Random, ack_id: str, device: str) -> str:
    """A JSON Web Token in form only."""
    parts = (
        json.dumps({"alg": "ES256", "typ": "JWT"}, separators=(",", ":")).encode(),
        json.dumps({"ack_id": ack_id, "device_id": device}, separators=(",", ":")).encode(),
        random_.randbytes(64),
    )
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
