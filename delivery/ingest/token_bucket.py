"""A token bucket and a ceiling of pushes in flight, shared by all web processes without a round trip per push.

The bucket stands in Valkey (https://en.wikipedia.org/wiki/Token_bucket). Each process leases tokens in blocks ahead of
need and hands them out from memory. While a lease is on its way, pushes are let in on credit of at most a tenth of the
burst (and of what the rate allows for as long as Valkey says nothing), which the next lease pays: so a limit is exact
in the long run, and off by a tenth of the burst for each process in the short run. How many pushes are in flight is
reported whenever it has grown by a tenth of the ceiling, with each lease, and once a second besides.
"""

import asyncio
import hashlib
import logging
import time
from typing import Any, Final

from delivery.queue import valkey
from tenants.directory.snapshot import Limit

logger = logging.getLogger(__name__)

# Seconds after which what a process reported of itself no longer counts: it has died, or has nothing in flight.
REPORT_TTL: Final = 5
# Tokens, or pushes in flight, where there is no limit.
UNLIMITED: Final = 1 << 60
# Part of the burst that one process may hold, and give on credit; part of the ceiling that it reports late.
SHARE: Final = 10
# Seconds between two leases of a process that is full: it has none to make, and is to hear that there is room again.
RETRY_INTERVAL: Final = 0.05

# KEYS: bucket; ARGV: rate, burst, overdrawn, wanted, taken since, process, in flight ('' where nobody counts).
# Answers: granted, milliseconds until there is more (0: that was all that was wanted), taken in the last whole second,
# in flight elsewhere.
SCRIPT: Final = f"""
local rate, burst, overdrawn, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local second, now = tonumber(time[1]), time[1] + time[2] / 1000000
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'second', 'asked', 'before')
local granted, wait = 0, 0
if rate > 0 then
  local tokens = math.min(burst, (tonumber(kept[1]) or burst) + math.max(0, now - (tonumber(kept[2]) or now)) * rate)
  tokens = math.min(burst, tokens - overdrawn)
  granted = math.max(0, math.min(wanted, math.floor(tokens)))
  tokens = tokens - granted
  if granted < wanted then wait = math.ceil((1 - tokens) / rate * 1000) end
  redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', string.format('%.6f', now))
end
local since, taken, before = tonumber(kept[3]) or 0, tonumber(kept[4]) or 0, tonumber(kept[5]) or 0
if since ~= second then
  before = since == second - 1 and taken or 0
  taken = 0
end
taken = taken + tonumber(ARGV[5])
redis.call('HSET', KEYS[1], 'second', second, 'asked', taken, 'before', before)
local elsewhere = 0
if ARGV[7] ~= '' then
  local own = 'p:' .. ARGV[6]
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'p:' and all[i] ~= own then
      local count, at = string.match(all[i + 1], '(%d+)@(%d+)')
      -- Either way: after a clock was set back, the report of a dead process would count until it has caught up.
      if math.abs(second - tonumber(at)) > {REPORT_TTL} then redis.call('HDEL', KEYS[1], all[i])
      else elsewhere = elsewhere + tonumber(count) end
    end
  end
  if ARGV[7] == '0' then redis.call('HDEL', KEYS[1], own)
  else redis.call('HSET', KEYS[1], own, ARGV[7] .. '@' .. second) end
end
redis.call('EXPIRE', KEYS[1], 60 + (rate > 0 and math.ceil(burst / rate) or 0))
return {{granted, wait, math.max(taken, before), elsewhere}}
"""
SHA: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


class Bucket:
    """One process's part of one limit: take() per push; whoever lets it in counts it in `in_flight`.

    Credit is given by the push: one of several tokens may owe all of them but one, which is paid like all that is owed.

    `refill_at`: fewer tokens than that are a reason to lease; `report_at`: so many in flight are one to report;
    `rate_seen`: pushes of all processes in one second, of late; `taken`: tokens asked of take() since the last lease.
    """

    __slots__ = (
        *(
            "_block",
            "_credit",
            "_leased_at",
            "_leasing",
            "_link",
            "_overdrawn",
            "_process",
            "_share",
            "empty_until",
            "in_flight",
        ),
        *("in_flight_elsewhere", "key", "last_used", "limit", "rate_seen", "refill_at", "report_at", "reported"),
        *("taken", "tokens"),
    )

    def __init__(self, key: str, limit: Limit, link: valkey.Link, process: str) -> None:
        """`key`: the name of the bucket in Valkey; `process`: this process's name among the others."""
        self.key, self._link, self._process = key, link, process
        self.in_flight = self.in_flight_elsewhere = self.reported = 0
        self._overdrawn = self._credit = self.taken = self.rate_seen = 0
        self.last_used, self._leased_at = time.monotonic(), 0.0
        self._leasing = False
        self._reset(limit)

    def _reset(self, limit: Limit) -> None:
        self.limit = limit
        self._share = max(1, limit.burst // SHARE)
        self._block = max(1, min(limit.rate // 10, limit.burst // (2 * SHARE)))
        # Without a rate there is always a token, and never a reason to lease more.
        self.tokens, self.refill_at = (0, self._block // 2) if limit.rate else (UNLIMITED, 0)
        self.empty_until = 0.0
        self._set_report_at()

    def _set_report_at(self) -> None:
        """Set how many may be in flight here before there is something to look at: no room, or enough to report."""
        ceiling = self.limit.in_flight
        if ceiling:
            self.report_at = min(ceiling - self.in_flight_elsewhere, self.reported + max(1, ceiling // SHARE))
        else:
            self.report_at = UNLIMITED

    def set_limit(self, limit: Limit) -> None:
        """Put another limit in force; what was leased under the old one is forgotten."""
        if limit != self.limit:
            self._reset(limit)

    def is_full(self) -> bool:
        """Whether as many pushes are in flight as may be. Call it at `report_at`: it also reports, and reads others."""
        if self.in_flight < self.report_at:
            return False
        full = self.in_flight + self.in_flight_elsewhere >= self.limit.in_flight
        # Whoever refuses everybody has no lease to make, and would never hear that there is room again.
        if not full or time.monotonic() - self._leased_at > RETRY_INTERVAL:
            self.lease()
        return full

    def take(self, count: int = 1) -> bool:
        """Take the tokens of one push; False: there is none. Of several, one is enough: the others are owed."""
        limit = self.limit
        if count > limit.burst > 0:
            count = limit.burst
        self.taken += count
        if self.tokens > 0:
            self.tokens -= count
            if self.tokens < 0:
                self._overdrawn -= self.tokens
                self.tokens = 0
                self.lease()  # which pays for it
            elif self.tokens < self.refill_at:
                self.lease()
            return True
        self.last_used = time.monotonic()
        if self.last_used < self.empty_until:
            return False
        self.lease()
        # Valkey's silence is no reason to refuse what the rate allows meanwhile.
        if self._credit >= self._share + int((self.last_used - self._leased_at) * limit.rate):
            return False
        self._credit += 1
        self._overdrawn += count
        return True

    def refund(self, count: int = 1) -> None:
        """Return the tokens that were just taken."""
        self.tokens += min(count, self.limit.burst or count)

    def is_empty(self) -> bool:
        """Whether it is known that there is no token, here or in Valkey."""
        return self.tokens <= 0 and time.monotonic() < self.empty_until

    def lease(self) -> None:
        """Lease a block, pay what was overdrawn, report what is in flight. One lease at a time."""
        if self._leasing:
            return
        self._leasing = True
        self.last_used = self._leased_at = time.monotonic()
        limit, overdrawn, taken = self.limit, self._overdrawn, self.taken
        # As much as went since the last lease, twice: a burst is not to wait for Valkey again and again. What is left
        # of it counts, or a process that leases for another reason would gather tokens without end.
        wanted = max(0, min(max(self._block, 2 * taken), self._share) - self.tokens)
        self._overdrawn = self._credit = self.taken = 0
        if limit.in_flight:
            self.reported = self.in_flight
            self._set_report_at()
        self._post(limit, overdrawn, wanted, taken, by_name=True)

    def return_unused(self) -> None:
        """Return the tokens that nobody has needed of late, and pay what was overdrawn."""
        if (self.tokens > 0 or self._overdrawn) and not self._leasing and self.limit.rate:
            self._leasing = True
            overdrawn, self.tokens, self._overdrawn = self._overdrawn - self.tokens, 0, 0
            self._post(self.limit, overdrawn, 0, 0, by_name=True)

    def _post(self, limit: Limit, overdrawn: int, wanted: int, taken: int, *, by_name: bool) -> None:
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def on_reply(future: "asyncio.Future[Any]") -> None:
            if future.cancelled():
                return
            error = future.exception() or (future.result() if isinstance(future.result(), Exception) else None)
            if error is None:
                self._on_granted(limit, *future.result())
            elif "NOSCRIPT" in str(error) and by_name:
                self._post(limit, overdrawn, wanted, taken, by_name=False)
                return
            elif not isinstance(error, ConnectionError):  # the outbox logs it when Valkey is away
                logger.error("a lease of rate-limit tokens failed in Valkey: %s", error)
            self._leasing = False

        reply.add_done_callback(on_reply)
        in_flight = str(max(0, self.in_flight)) if limit.in_flight else ""
        head = ("EVALSHA", SHA) if by_name else ("EVAL", SCRIPT)
        numbers = (str(limit.rate), str(limit.burst), str(overdrawn), str(wanted), str(taken))
        self._link.post(valkey.pack((*head, "1", self.key, *numbers, self._process, in_flight)), 1, reply)

    def _on_granted(self, limit: Limit, granted: int, wait: int, rate_seen: int, elsewhere: int) -> None:
        self.rate_seen, self.in_flight_elsewhere = rate_seen, elsewhere
        self._set_report_at()
        if limit is not self.limit:
            return
        self.tokens += granted
        # What went on credit meanwhile is paid out of this block at once.
        paid = min(self._overdrawn, self.tokens)
        self.tokens -= paid
        self._overdrawn -= paid
        if wait:
            # Valkey has no more: from here on credit would be a gift.
            self.empty_until = time.monotonic() + wait / 1000 + self._overdrawn / limit.rate
