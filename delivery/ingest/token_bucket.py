"""A rate with a burst, and a ceiling of pushes in flight, shared by all web processes without a round trip per push.

What may come stands in Valkey as a bucket of tokens (https://en.wikipedia.org/wiki/Token_bucket). Each process leases
tokens in blocks ahead of need and hands them out from memory. While a block is on its way, pushes are let in on credit
of at most a tenth of the burst (and of what the rate allows for as long as Valkey says nothing), which the next lease
pays: so a limit is exact in the long run, and off by a tenth of the burst for each process in the short run. How many
pushes wait is told whenever it has grown by a tenth of the ceiling, at each lease, and once a second besides.
"""

import asyncio
import hashlib
import logging
import time
from typing import Any, Final

from delivery.queue import valkey
from tenants.directory.snapshot import Limit

logger = logging.getLogger(__name__)

# Seconds after which what a process told about itself no longer counts: it has died, or has nothing in flight.
FORGOTTEN: Final = 5
# Tokens, or pushes in flight, where there is no limit.
ENDLESS: Final = 1 << 60
# Part of the burst that one process may hold, and give on credit; part of the ceiling that it tells late.
SHARE: Final = 10
# Seconds between two questions whether there is room again, while a process is refusing for want of it.
PAUSE: Final = 0.05

# KEYS: bucket; ARGV: rate, burst, spent on credit, wanted, asked since, process, in flight ('' where nobody counts).
# Answers: granted, milliseconds until there is more (0: that was all that was wanted), asked in the last whole second,
# in flight elsewhere.
SCRIPT: Final = f"""
local rate, burst, spent, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local second, now = tonumber(time[1]), time[1] + time[2] / 1000000
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'second', 'asked', 'before')
local granted, wait = 0, 0
if rate > 0 then
  local tokens = math.min(burst, (tonumber(kept[1]) or burst) + math.max(0, now - (tonumber(kept[2]) or now)) * rate)
  tokens = math.min(burst, tokens - spent)
  granted = math.max(0, math.min(wanted, math.floor(tokens)))
  tokens = tokens - granted
  if granted < wanted then wait = math.ceil((1 - tokens) / rate * 1000) end
  redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', string.format('%.6f', now))
end
local since, asked, before = tonumber(kept[3]) or 0, tonumber(kept[4]) or 0, tonumber(kept[5]) or 0
if since ~= second then
  before = since == second - 1 and asked or 0
  asked = 0
end
asked = asked + tonumber(ARGV[5])
redis.call('HSET', KEYS[1], 'second', second, 'asked', asked, 'before', before)
local elsewhere = 0
if ARGV[7] ~= '' then
  local own = 'p:' .. ARGV[6]
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'p:' and all[i] ~= own then
      local count, at = string.match(all[i + 1], '(%d+)@(%d+)')
      -- Either way: after a clock was set back, the word of a dead process would count until it has caught up.
      if math.abs(second - tonumber(at)) > {FORGOTTEN} then redis.call('HDEL', KEYS[1], all[i])
      else elsewhere = elsewhere + tonumber(count) end
    end
  end
  if ARGV[7] == '0' then redis.call('HDEL', KEYS[1], own)
  else redis.call('HSET', KEYS[1], own, ARGV[7] .. '@' .. second) end
end
redis.call('EXPIRE', KEYS[1], 60 + (rate > 0 and math.ceil(burst / rate) or 0))
return {{granted, wait, math.max(asked, before), elsewhere}}
"""
SHA: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


class Bucket:
    """One process's part of one limit. take() per push, and leave() when a push that was counted has its answer."""

    __slots__ = (
        *("_asked_at", "_asking", "_block", "_link", "_process", "_share", "_spent", "asked", "closed_until"),
        *("elsewhere", "key", "limit", "low", "mine", "roof", "told", "tokens", "touched", "use"),
    )

    def __init__(self, key: str, limit: Limit, link: valkey.Link, process: str) -> None:
        """`key`: the name of the bucket in Valkey; `process`: this process's name among the others."""
        self.key, self._link, self._process = key, link, process
        self._spent = self.asked = self.mine = self.told = self.elsewhere = self.use = 0
        self.touched = self._asked_at = 0.0
        self._asking = False
        self._begin(limit)

    def _begin(self, limit: Limit) -> None:
        self.limit = limit
        self._share = max(1, limit.burst // SHARE)
        self._block = max(1, min(limit.rate // 10, limit.burst // (2 * SHARE)))
        # Without a rate there is always a token, and never a reason to ask for more.
        self.tokens, self.low = (0, self._block // 2) if limit.rate else (ENDLESS, 0)
        self.closed_until = 0.0
        self._raise_roof()

    def _raise_roof(self) -> None:
        """Say how many may wait here before there is something to look at: no room, or enough news to tell."""
        ceiling = self.limit.in_flight
        self.roof = min(ceiling - self.elsewhere, self.told + max(1, ceiling // SHARE)) if ceiling else ENDLESS

    def change(self, limit: Limit) -> None:
        """Another limit from now on; what was leased under the old one is forgotten."""
        if limit != self.limit:
            self._begin(limit)

    def is_full(self) -> bool:
        """Whether as many pushes wait as may. Call it when `mine` is at the roof: it also tells and asks the others."""
        if self.mine < self.roof:
            return False
        full = self.mine + self.elsewhere >= self.limit.in_flight
        # Whoever refuses everybody has no lease to make, and would never hear that there is room again.
        if not full or time.monotonic() - self._asked_at > PAUSE:
            self.ask()
        return full

    def take(self) -> bool:
        """Take a token for one push; False: there is none."""
        limit = self.limit
        self.asked += 1
        if self.tokens > 0:
            self.tokens -= 1
            if self.tokens < self.low:
                self.ask()
            return True
        self.touched = time.monotonic()
        if self.touched < self.closed_until:
            return False
        self.ask()
        # Valkey's silence is no reason to refuse what the rate allows meanwhile.
        if self._spent >= self._share + int((self.touched - self._asked_at) * limit.rate):
            return False
        self._spent += 1
        return True

    def give_back(self) -> None:
        """The token that was just taken was not needed."""
        self.tokens += 1

    def ask(self) -> None:
        """Lease a block, pay what was given on credit, tell and hear how many pushes wait. One lease at a time."""
        if self._asking:
            return
        self._asking = True
        self.touched = self._asked_at = time.monotonic()
        limit, spent, asked = self.limit, self._spent, self.asked
        # As much as went since the last lease, twice: a burst is not to wait for Valkey again and again. What is left
        # of it counts, or a process that asks for another reason would gather tokens without end.
        wanted = max(0, min(max(self._block, 2 * asked), self._share) - self.tokens)
        self._spent = self.asked = 0
        if limit.in_flight:
            self.told = self.mine
            self._raise_roof()
        self._post(limit, spent, wanted, asked, by_name=True)

    def settle(self) -> None:
        """Give back what nobody has needed of late, and pay what is owed."""
        if (self.tokens > 0 or self._spent) and not self._asking and self.limit.rate:
            self._asking = True
            spent, self.tokens, self._spent = self._spent - self.tokens, 0, 0
            self._post(self.limit, spent, 0, 0, by_name=True)

    def _post(self, limit: Limit, spent: int, wanted: int, asked: int, *, by_name: bool) -> None:
        said: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(future: "asyncio.Future[Any]") -> None:
            if future.cancelled():
                return
            trouble = future.exception() or (future.result() if isinstance(future.result(), Exception) else None)
            if trouble is None:
                self._granted(limit, *future.result())
            elif "NOSCRIPT" in str(trouble) and by_name:
                self._post(limit, spent, wanted, asked, by_name=False)
                return
            elif not isinstance(trouble, ConnectionError):  # the outbox says it when Valkey is away
                logger.error("Valkey grants no pushes: %s", trouble)
            self._asking = False

        said.add_done_callback(answered)
        in_flight = str(max(0, self.mine)) if limit.in_flight else ""
        head = ("EVALSHA", SHA) if by_name else ("EVAL", SCRIPT)
        numbers = (str(limit.rate), str(limit.burst), str(spent), str(wanted), str(asked))
        self._link.post(valkey.pack((*head, "1", self.key, *numbers, self._process, in_flight)), 1, said)

    def _granted(self, limit: Limit, granted: int, wait: int, use: int, elsewhere: int) -> None:
        self.use, self.elsewhere = use, elsewhere
        self._raise_roof()
        if limit is not self.limit:
            return
        self.tokens += granted
        # What went on credit meanwhile is paid out of this block at once.
        paid = min(self._spent, self.tokens)
        self.tokens -= paid
        self._spent -= paid
        if wait:
            # Valkey has no more: from here on credit would be a gift.
            self.closed_until = time.monotonic() + wait / 1000 + self._spent / limit.rate
