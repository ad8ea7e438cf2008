"""The rows of a day as lines for COPY: posts to several people, what became of their pushes, and phones' receipts.

The columns that are the same for many pushes are written by the product's own row(), once for each kind of push.
"""

import random
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Final, NamedTuple

from delivery.log.rows import CELL, COLUMNS, row
from delivery.outcomes import own
from delivery.outcomes.verdict import Verdict
from delivery.protocol.wire import Push
from delivery.providers import table
from delivery.rollups.buckets import bucket_of
from delivery.rollups.increments import Cell, Increments
from tests.bench.growth.plan import Day, Picker

PLATFORMS: Final = {"apns": ("apple_rn-v2", "apple_rnbeta-v2"), "fcm": ("android_rn-v2",)}
HOSTS: Final = {"apns": "api.push.apple.com", "fcm": "fcm.googleapis.com"}
SENT: Final = table.PROVIDERS["apns"].outcomes.sent
# What becomes of pushes besides being sent, by family: code and share.
USUAL: Final = {
    "apns": (
        ("apns_unregistered", 0.006),
        ("apns_device_token_not_for_topic", 0.001),
        ("apns_internal_server_error", 0.0004),
        ("transport_reset_unanswered", 0.0002),
        ("apns_unknown", 0.0001),
        ("expired", 0.0001),
    ),
    "fcm": (
        ("fcm_unregistered", 0.008),
        ("fcm_sender_id_mismatch", 0.0005),
        ("fcm_unavailable", 0.0006),
        ("fcm_unknown", 0.0001),
        ("fcm_unspecified_error", 0.0001),
    ),
}
# A customer in trouble: on some days nearly everything of one family fails for some hours, by one of these.
BURSTS: Final = {
    "apns": ("apns_invalid_provider_token", "apns_bad_device_token", "apns_topic_disallowed", "apns_too_many_requests"),
    "fcm": ("fcm_unauthenticated", "fcm_permission_denied", "fcm_sender_id_mismatch", "fcm_unavailable"),
}
BURST_CHANCE: Final = 0.04
ACKED: Final = {"apns": 0.62, "fcm": 0.81}
# One device of so many acknowledges nothing, as one whose notifications are off.
SILENT_EACH: Final = 31
# The share of pushes by the server that a phone is logged in to.
ONE_SERVER: Final = 0.98
TYPES: Final = ("message", *("message",) * 16, "clear", "clear", "update_badge")
# The order of a line, which is put together by hand: what each push has of its own stands at these places.
FIRST: Final = ("accepted_at", "ended_at", "trace")
BETWEEN: Final = ("device", "size", "ack_id", "post_id", "attempts")
RECEIPT_COLUMNS: Final = (
    *("id", "received_at", "customer_id", "server_id", "ack_id", "type", "platform", "phone_at", "trace", "push_at"),
    "repeated",
)


class Tenant(NamedTuple):
    """A customer as pushes know it: its servers with their keys, its apps by family (None: the shared one)."""

    customer: int
    servers: list[tuple[int, int]]
    apps: dict[str, int]


class Burst(NamedTuple):
    """A trouble of a customer's on a day: of what family, from when to when (seconds of the day), with which code."""

    family: str
    start: float
    end: float
    code: str


class Lines(NamedTuple):
    """A day's lines, of the log and of the receipts, and what they add to the rollups."""

    log: list[bytes]
    receipts: list[bytes]
    counts: Increments


def verdict_of(code: str) -> Verdict:
    """A verdict by its code, whoever speaks it. Raises KeyError."""
    return table.verdict_of(code) or own.REFUSALS[code]


@cache
def _kind(customer: int, server: int, key: int, app: int, platform: str, type_: str, code: str) -> tuple[str, str, str]:
    """The columns that a kind of push has alike: those before BETWEEN, the size, and the end of the line."""
    push = Push(platform=platform, type=type_, device_id="d", server_id=f"{server:026}")
    verdict = SENT if code == "sent" else verdict_of(code)
    text = row("t", 0, 0, f"{customer}\t{server}\t{key}", app, push, "", 640 + server % 300, verdict, ())
    columns = dict(zip(COLUMNS, text.decode().rstrip("\n").split("\t"), strict=True))
    assert (*FIRST, *("sub_type", "mattermost_id"), *BETWEEN, *CELL) == COLUMNS, "the lines are made in another order"
    cell = "\t".join(columns[name] for name in CELL)
    return f"{columns['sub_type']}\t{columns['mattermost_id']}", columns["size"], cell


@cache
def _device(customer: int, number: int) -> str:
    return f"{random.Random(customer << 24 | number).getrandbits(128):032x}"  # noqa: S311  any will do


@cache
def _mix(family: str) -> tuple[list[str], Picker]:
    usual = USUAL[family]
    rest = 1 - sum(share for _, share in usual)
    return ["sent", *(code for code, _ in usual)], Picker([rest, *(share for _, share in usual)])


@cache
def _attempt(family: str, code: str) -> str:
    """The end of an attempt's JSON: what the provider said."""
    if code == "sent":
        return '"status":200'
    status = next((key[0] for key, verdict in table.OUTCOMES[family].answers.items() if verdict.code == code), 0)
    reason = "".join(part.title() for part in code.partition("_")[2].split("_")) if family == "apns" else code[4:]
    return f'"status":{status or (418 if code.endswith("_unknown") else 0)},"reason":"{reason}"'


def _tries(family: str, code: str, came: int, took: int) -> str:
    return f'[{{"at":{came / 1000:.3f},"host":"{HOSTS[family]}","ms":{took},{_attempt(family, code)}}}]'


class Writer:
    """Makes a day after the other."""

    def __init__(self, tenants: list[Tenant], weights: list[float], devices: list[int], seed: int) -> None:
        """Of the tenants, the largest first."""
        self._tenants, self._devices = tenants, devices
        self._picker = Picker(weights)
        self._random = random.Random(seed)  # noqa: S311  the same for the same seed
        self._serial = 0
        # Latencies in milliseconds: to draw from a list is quicker than to compute each.
        self._handoff = _with_buckets(20 + self._random.lognormvariate(3.6, 0.7) for _ in range(4096))
        self._receipt = _with_buckets(150 + self._random.lognormvariate(6.6, 1.4) for _ in range(4096))

    def day(self, day: Day) -> Lines:
        """The lines of a day: as many pushes as it is to have, and their receipts."""
        lines = Lines([], [], Increments())
        bursts = self._bursts(day)
        start = day.start.timestamp()
        for second in self._posts(day):
            place = self._picker.pick(self._random.random())
            left = day.rows - len(lines.log)
            self._post(place, start, second, min(self._people(place), left), bursts.get(place), lines)
            if left <= 0:
                break
        return lines

    def _posts(self, day: Day) -> Iterator[float]:
        """Moments of posts: more of them than are needed for the day's rows, in order as long as possible."""
        mean = 3.0
        while True:
            yield from day.seconds(self._random, max(1, int(day.rows / mean)))
            mean *= 2

    def _people(self, place: int) -> int:
        """How many phones a post goes to: few; now and then everybody of a channel."""
        draw = self._random.random()
        if draw < 0.9:
            return 1 + int(draw * 4)
        return int(self._random.paretovariate(1.1)) % 300 + 1 if place < 50 else 2

    def _bursts(self, day: Day) -> dict[int, Burst]:
        found = {}
        for place in range(len(self._tenants)):
            if self._random.random() < BURST_CHANCE:
                family = self._random.choice(("apns", "fcm"))
                since = self._random.random() * 70_000
                code = self._random.choice(BURSTS[family])
                found[place] = Burst(family, since, since + self._random.random() * 20_000, code)
        return found

    def _post(self, place: int, start: float, second: float, people: int, burst: Burst | None, into: Lines) -> None:
        draw = self._random.random
        tenant = self._tenants[place]
        servers = len(tenant.servers)
        place_of_server = int(draw() ** 2 * servers)
        server, key = tenant.servers[place_of_server]
        type_ = TYPES[int(draw() * len(TYPES))]
        post = f"\\\\x{self._random.getrandbits(128):032x}" if type_ == "message" else "\\N"
        devices = max(1, self._devices[place] // servers)
        for number in range(people):
            # A phone is logged in to one server, mostly.
            of_server = int(draw() * draw() * devices)
            device = of_server * servers + (place_of_server if draw() < ONE_SERVER else int(draw() * servers))
            family = "fcm" if of_server % 5 < 2 else "apns"
            codes, mix = _mix(family)
            code = codes[mix.pick(draw())]
            if burst is not None and burst.family == family and burst.start <= second < burst.end and draw() < 0.9:
                code = burst.code
            platform = PLATFORMS[family][of_server % len(PLATFORMS[family])]
            head, size, cell_end = _kind(tenant.customer, server, key, tenant.apps[family], platform, type_, code)
            self._serial += 1
            came = int((start + second) * 1000) + number
            took, bucket = self._handoff[int(draw() * 4096)] if code != "expired" else EXPIRED
            trace, accepted = f"{came // 1000:012x}-{self._serial:x}", _moment(came)
            ack = f"\\\\x{self._random.getrandbits(128):032x}"
            tries = "[]" if code == "expired" else _tries(family, code, came, took - took // 8)
            into.log.append(
                f"{accepted}\t{_moment(came + took)}\t{trace}\t{head}\t{_device(tenant.customer, device)}\t{size}\t"
                f"{ack}\t{post}\t{tries}\t{cell_end}\n".encode()
            )
            cell = Cell(
                _minute(came // 60_000), tenant.customer, server, tenant.apps[family], family, type_, *_what(code)
            )
            into.counts.push(cell, 1, bucket)
            if code == "sent" and (of_server + 1) % SILENT_EACH and draw() < ACKED[family]:
                late, bucket = self._receipt[int(draw() * 4096)]
                phone = "ios" if family == "apns" else "android"
                into.receipts.append(
                    f"{trace}r\t{_moment(came + late)}\t{tenant.customer}\t{server}\t{ack}\t{type_}\t{phone}\t"
                    f"{_moment(came + late - 80)}\t{trace}\t{accepted}\tf\n".encode()
                )
                into.counts.acked(cell, bucket)


def _with_buckets(latencies: Iterable[float]) -> list[tuple[int, int]]:
    """Latencies in whole milliseconds, each with the bucket that it falls into."""
    return [(round(each), bucket_of(round(each))) for each in latencies]


EXPIRED: Final = (61_000, bucket_of(61_000))


# As delivery/log/rows.py writes a moment, whose cache is made for pushes of now.
@lru_cache(maxsize=8192)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))


def _moment(milliseconds: int) -> str:
    second, millisecond = divmod(milliseconds, 1000)
    return f"{_second(second)}.{millisecond:03d}+00"


@lru_cache(maxsize=64)
def _minute(number: int) -> datetime:
    """The beginning of a minute, by its number since 1970."""
    return datetime.fromtimestamp(number * 60, UTC)


@cache
def _what(code: str) -> tuple[str, str, str, bool]:
    """What became of a push, as its cell has it."""
    verdict = SENT if code == "sent" else verdict_of(code)
    return verdict.outcome.value, code, verdict.attribution, verdict.counts_in_sla
