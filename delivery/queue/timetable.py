"""When a worker last took something of the timetable, in Valkey: what stands still without it is said by this age.

Keys: timetable:at (unix seconds by Valkey's clock). It is there from the first worker's start on, so that a timetable
that was never started is noticed, too. timetable:tasks, a hash: by each task's name when it last ended well, and the
seconds between two of its runs ("1780000000 300"); one that has not ended yet has when it was first known.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

AT: Final = "timetable:at"
# Seconds after which it stands still: its shortest interval is a minute, and a worker may be replaced meanwhile.
STILL: Final = 300
TASKS: Final = "timetable:tasks"
# A task is overdue when it has not ended well for so many of its intervals, and these seconds besides.
RUNS_MISSED: Final = 2
PATIENCE: Final = 600
_NOW: Final = "#!lua flags=allow-oom\n"
_ENDED: Final = f"{_NOW}return redis.call('HSET', KEYS[1], ARGV[1], redis.call('TIME')[1] .. ' ' .. ARGV[2])"
# ARGV: names of tasks and their intervals. What is noted of others goes: they are no part of the timetable any more.
_EXPECT: Final = f"""{_NOW}local known = {{}}
for i = 1, #ARGV, 2 do
  local at = string.match(redis.call('HGET', KEYS[1], ARGV[i]) or '', '^%d+') or redis.call('TIME')[1]
  redis.call('HSET', KEYS[1], ARGV[i], at .. ' ' .. ARGV[i + 1])
  known[ARGV[i]] = true
end
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  if not known[name] then redis.call('HDEL', KEYS[1], name) end
end
"""
HEARD: Final = f"{_NOW}return redis.call('SET', KEYS[1], redis.call('TIME')[1])"
BEGUN: Final = f"{_NOW}return redis.call('SET', KEYS[1], redis.call('TIME')[1], 'NX')"
Ask = Callable[..., Awaitable[Any]]
"""Sends a command to Valkey and returns its reply. Raises ConnectionError."""


async def note(ask: Ask, *, heard: bool = True) -> None:
    """Note that something of it has come just now; heard=False: that a worker waits for it, unless it has been heard.

    Raises ConnectionError.
    """
    await ask("EVAL", HEARD if heard else BEGUN, "1", AT)


def age(found: bytes | None, now: float) -> int | None:
    """Seconds since something of it came; None before the first worker's start. `found`: what AT says; by Valkey's
    clock."""
    return None if found is None else max(0, int(now) - int(found))


class Task(NamedTuple):
    """A task of the timetable: its name, and the seconds since it last ended well and between two of its runs."""

    name: str
    age: int
    interval: float

    @property
    def is_overdue(self) -> bool:
        """Whether it has hung or failed for longer than can be by chance."""
        return self.age > RUNS_MISSED * self.interval + PATIENCE


async def note_ended(ask: Ask, name: str, interval: float) -> None:
    """Note that a task has ended well just now. Raises ConnectionError."""
    await ask("EVAL", _ENDED, "1", TASKS, name, f"{interval:.0f}")


async def expect(ask: Ask, intervals: Mapping[str, float]) -> None:
    """Note which tasks there are, with the seconds between two of their runs. Raises ConnectionError."""
    values = [text for name, interval in intervals.items() for text in (name, f"{interval:.0f}")]
    await ask("EVAL", _EXPECT, "1", TASKS, *values)


def tasks(found: Mapping[bytes, bytes], now: float) -> list[Task]:
    """The tasks by what TASKS says, the one that is overdue for longest first. `now`: by Valkey's clock."""
    read = []
    for name, noted in found.items():
        at, _, interval = noted.partition(b" ")
        read.append(Task(name.decode(), max(0, int(now) - int(at)), float(interval)))
    return sorted(read, key=lambda task: (not task.is_overdue, -task.age))


def overdue_words(found: Mapping[bytes, bytes], now: float) -> str:
    """What is said of tasks that are overdue, "" where none is."""
    late = [task for task in tasks(found, now) if task.is_overdue]
    if not late:
        return ""
    first = late[0]
    others = f" (and {len(late) - 1} more)" if len(late) > 1 else ""
    return f"{first.name}{others}, which the timetable sends, has not ended well for {first.age // 60:,} min"


async def describe(ask: Ask) -> str:
    """Describe for people that it stands still, or a task of it; "" while none does. Raises ConnectionError."""
    now, _ = await ask("TIME")
    seconds = age(await ask("GET", AT), float(now))
    if seconds is None or seconds < STILL:
        found = await ask("HGETALL", TASKS)
        pairs = found if isinstance(found, Mapping) else dict(zip(found[::2], found[1::2], strict=True))
        return overdue_words(pairs, float(now))
    return (
        f"the timetable has sent nothing for {seconds // 60} min: the SLA is not sealed, rollups are not merged, no "
        "month is closed, no mail is sent"
    )
