"""The directory's version stamp, read over a process's own connection to Valkey: each second, in every process, where
redis-py's client would cost several times as much.
"""

from functools import partial

from delivery.queue import valkey
from tenants.directory import version_stamp
from tenants.directory.following import ReadStamp


def reader(link: valkey.Link) -> ReadStamp:
    """What DIRECTORY.follow() takes. A link that is down, or goes down, counts as a Valkey that is away."""
    return partial(_read, link)


async def _read(link: valkey.Link) -> bytes | None:
    found: bytes | None = await valkey.ask(link, "GET", version_stamp.VERSION_KEY)
    return found
