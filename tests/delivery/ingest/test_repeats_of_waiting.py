"""A push comes again while its first one waits in the due list, and after that one's end."""

from delivery.protocol import schedule
from tests.delivery import due_pushes
from tests.delivery.ingest.test_repeats import OK, lines, other
from tests.delivery.links import until
from tests.delivery.own_sender import Sender

__all__ = ["other"]


async def _wait_in_the_list(sender: Sender, behaviour: str, ack_id: str) -> str:
    """Send a push that goes to the due list; its trace."""
    assert await sender.send(behaviour, ack_id=ack_id) == OK
    await until(lambda: due_pushes.waiting(sender.store))
    (trace,) = due_pushes.waiting(sender.store)
    return trace


async def test_a_push_that_waits_to_be_tried_again_is_not_sent_twice(sender: Sender, other: Sender) -> None:
    await _wait_in_the_list(sender, "busy_1_60", "w1")
    assert [await each.send("busy_1_60", ack_id="w1") for each in (sender, other)] == [OK, OK]
    assert (sender.server.complete["busy_1_60"], len(due_pushes.waiting(sender.store)), sender.traces()) == (1, 1, [])


async def test_what_came_to_nothing_in_the_end_may_be_tried_anew(sender: Sender, other: Sender) -> None:
    trace = await _wait_in_the_list(sender, "busy_1_60", "w2")
    due_pushes.age(sender.store, sender.own._sender, trace, schedule.DAY)
    await due_pushes.deliver(sender.store, sender.own._sender)
    assert [row["outcome"] for row in lines(sender.store)] == ["expired"]
    assert await other.send("busy_1_60", ack_id="w2") == OK
    await until(lambda: len(sender.traces()) == 2)
    assert sender.server.complete["busy_1_60"] == 2
