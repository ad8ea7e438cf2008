"""How many pushes of a customer wait to be tried again, in words: they have no row yet, and are on no other page.

Valkey is asked once for all pages within SECONDS, and for the next MOST pushes of the due list alone: beyond these the
words are "at least". Where Valkey is away nothing is said.
"""

import logging
from collections import Counter
from typing import Final

import redis

from delivery.insight import kept
from delivery.queue import dead_letters, due_list
from delivery.worker import due_item
from tenants import redis_client
from tenants.problem import first_line

logger = logging.getLogger(__name__)
TIMEOUT: Final = 1.0
SECONDS: Final = 10
# Two milliseconds of Valkey's at most, with pushes of the usual size.
MOST: Final = 500


def sentence(customer_id: int) -> str:
    """What is said of a customer's pushes that wait, "" where it is not known of any."""
    counts, more = kept.kept("pushes:waiting", _read, SECONDS)
    count = counts.get(customer_id, 0)
    if not count:
        return ""
    least = "At least " if more else ""
    if count == 1:
        return f"{least}1 push waits to be tried again. It is counted and listed when it has ended."
    return f"{least}{count:,} pushes wait to be tried again. They are counted and listed when they have ended."


def _read() -> tuple[dict[int, int], bool]:
    """The pushes that wait by customer, and whether there are more than were looked at."""
    try:
        with redis_client.connect(TIMEOUT) as store:
            reply = store.execute_command(*due_list.reading_heads(MOST))
    except redis.RedisError as error:
        logger.warning("how many pushes wait to be tried again is not known: %s", first_line(error))
        return {}, False
    length, heads = due_list.heads_read(reply)
    # What is sent once more by staff has its row already.
    found = (due_item.head(each) for name, each in heads if not dead_letters.is_replay(name))
    return Counter(head.customer for head in found if head is not None), length > MOST
