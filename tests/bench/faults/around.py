"""Faults around the processes that take pushes: of their parent, of who makes pages, and of what they had in hand."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.bench.faults import doing
from tests.bench.faults.doing import Begin
from tests.bench.faults.scene import WEB_PROCESSES, Scene
from tests.waiting import PATIENCE, wait_for


def pages(number: signal.Signals) -> Begin:
    """The process that makes pages gets a signal; the fault ends when pages are there again."""

    @contextmanager
    def begin(scene: Scene) -> Iterator[None]:
        (pid,) = scene.web_processes(b"hpns.pages_process")
        os.kill(pid, number)
        yield
        wait_for(lambda: pid not in scene.web_processes(b"hpns.pages_process"), PATIENCE, "its end")
        wait_for(lambda: scene.stage.get("/account/login/")[0] == 200, PATIENCE, "pages are made again")

    return begin


@contextmanager
def parent(scene: Scene) -> Iterator[None]:
    """The parent of the web processes alone is killed; what it leaves behind is gone when another one starts."""
    os.kill(scene.stage.children["ingest"].pid, signal.SIGKILL)
    yield
    scene.ensure()
    wait_for(scene.stage.ready, PATIENCE, "the service is ready")
    scene.wait_for_web()


@contextmanager
def renewed(scene: Scene) -> Iterator[None]:
    """All web processes are replaced by new ones, as their parent does when it is asked to (SIGHUP)."""
    before = set(scene.web_processes())
    os.kill(scene.stage.children["ingest"].pid, signal.SIGHUP)
    yield
    wait_for(lambda: len({*scene.web_processes()} - before) >= WEB_PROCESSES, PATIENCE, "new processes are there")
    scene.wait_for_web()


NOTICED: Final = 300.0
"""Seconds within which the ledger's check says what is nowhere: it looks once a minute, for what is two minutes old."""


@contextmanager
def taken_away(scene: Scene) -> Iterator[None]:
    """Web processes are killed with pushes in hand, and their lists are deleted by hand: nobody takes those over, and
    the ledger's check is what ends them."""
    began = time.time() - 10
    with doing.answers({"status": 200, "delay": 3.0})(scene):
        time.sleep(3)
        with scene.stage.redis() as valkey:
            before = int(valkey.hget("ledger:state", "lost") or 0)
            scene.stage.kill("ingest")
            entered = valkey.hlen("ledger:open")
            valkey.delete(*valkey.scan_iter("taken:web@*:push"))
        yield
    scene.ensure()
    with scene.stage.redis() as valkey:
        until = time.monotonic() + NOTICED
        while (count := int(valkey.hget("ledger:state", "lost") or 0) - before) == 0 and time.monotonic() < until:
            time.sleep(1)
    exported = re.search(rb"^hpns_ledger_lost_total ([0-9.]+)", scene.stage.get("/metrics")[1], re.MULTILINE)
    told = int(float(exported[1])) - before if exported else 0
    scene.notes.append(f"{entered} batches were in flight; {count} pushes ended as lost")
    # Such a row knows whose push it was, and not its ack_id: it is in no load's record.
    written = "outcome = 'lost' AND accepted_at > to_timestamp(%s)"
    scene.checks.append(lambda _record: accounted(entered, count, told, len(scene.stage.rows(written, began))))


def accounted(entered: int, counted: int, exported: int, written: int) -> list[str]:
    """What may not be after batches were taken away: `entered` were in flight, the ledger counted and exported so many
    pushes as lost, and so many rows say it."""
    if not entered:
        return ["no batch was in flight: this shows nothing"]
    if not counted:
        return [f"of {entered} batches that were taken away the ledger's check said nothing within {NOTICED:.0f} s"]
    if written != counted or exported != counted:
        return [f"{counted} pushes were found lost, {written} have such a row, {exported} are exported"]
    return []
