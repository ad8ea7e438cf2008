"""Retry schedule of a push: for how long it is tried again, and after which pauses (exponential backoff, full jitter).

Pure: no clock, no chance of its own. Sources: "Exponential Backoff And Jitter"
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/) and Retry-After (RFC 9110, 10.2.3).
Invariant: no pause is shorter than what the provider asked for.
"""

from typing import Final, NamedTuple

from delivery.protocol import policy
from delivery.protocol.wire import Push


class Schedule(NamedTuple):
    """How a push is tried again.

    lifetime: seconds from its acceptance after which it is not sent again, whatever phones could make of it; first and
    longest: seconds that the first pause takes at most, which doubles with each try, and any; later: whether it is
    tried again when its server has had an answer.
    """

    lifetime: int
    first: float
    longest: float
    later: bool = True


HALF_HOUR: Final = 1800.0
DAY: Final = 24 * 3600

CALL: Final = Schedule(policy.VOIP_LIFETIME, 0.1, 5.0)
"""Quick, for it rings for somebody who is about to hang up."""
TEST: Final = Schedule(policy.TEST_LIFETIME, 0.1, 1.0, later=False)
"""Only while somebody waits for the answer, which the app remembers."""
STATE: Final = Schedule(120, 0.1, 10.0)
"""A clear, or a badge: it says how things are, and what comes much later would undo what newer pushes have said, or
take a newer message off the screen."""
WIPE: Final = Schedule(policy.WEEK, 0.1, HALF_HOUR)
"""The order to wipe a lost phone is good for as long as the phone may be off."""
MESSAGE: Final = Schedule(DAY, 0.1, HALF_HOUR)
"""A message is news for longer than providers are away, and after a day it has been read elsewhere."""


def of(push: Push) -> Schedule:
    """Return the schedule of a push; total."""
    if policy.is_voip(push) or push.sub_type == "calls":
        return CALL
    if push.type == "test":
        return TEST
    if push.type in ("clear", "update_badge"):
        return STATE
    return WIPE if policy.is_wipe(push) else MESSAGE


def pause(schedule: Schedule, tries: int, retry_after: float, chance: float) -> float:
    """Return for how many seconds to wait after so many tries; chance is a number of [0, 1), evenly distributed.

    retry_after: the seconds that the provider asked for, 0 for none; those that it sent away together come back one
    after the other, over a quarter as long again.
    """
    bound = min(schedule.longest, schedule.first * 2.0 ** min(tries, 32))
    if retry_after > 0:
        return retry_after + chance * max(bound, retry_after / 4)
    return chance * bound


def is_worth(schedule: Schedule, age: float) -> bool:
    """Tell whether a push that is so many seconds old then is still to be sent again."""
    return age < schedule.lifetime
