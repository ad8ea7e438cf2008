"""PostgreSQL whose log is locked, that is silent, or that is stopped: pushes go on at full speed, to Apple and Google.

Each time many messages of the timetable come for the log, as in a long outage, and Google's access token has to be
fetched anew: nothing of that may wait for the database. Afterwards each push has one row.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.faults.pushes import PROMPT, at_once, iphone, replace_worker, rows, wait_for_changes
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for

# As the worker's are, only shorter, in seconds.
QUICK = "?client_timeout=2&connect_timeout=2&options=-c%20lock_timeout%3D1s"
MESSAGES = 30  # more than any executor has threads, and than the timetable sends in half a minute
PREPARE = """
import os
from pathlib import Path
import django
django.setup()
from tenants import services
from tenants.models import Customer
from tenants.providers import google_files
uris = [os.environ["GOOGLE_TOKEN_ORIGIN"] + "/token"]
content = Path("ACCOUNT").read_bytes()
acme = Customer.objects.get(slug="acme")
for name in ("locked", "silent", "stopped"):
    app = services.app_add(label="android_" + name, topic="com.example." + name, customer=acme)
    services.credential_add(app=app.row, parsed=google_files.service_account(content, token_uris=uris))
"""
ENQUEUE = f"""
import django
django.setup()
import hpns.celery
from delivery.tasks import record
for _ in range({MESSAGES}):
    record.delay()
"""


@contextmanager
def locked(stage: Stage) -> Iterator[None]:
    with psycopg.connect(stage.postgres.url) as session:
        session.execute("LOCK TABLE delivery_delivery IN ACCESS EXCLUSIVE MODE")
        yield
        session.rollback()


@contextmanager
def silent(stage: Stage) -> Iterator[None]:
    with stage.paused("postgres"):
        yield


@contextmanager
def stopped(stage: Stage) -> Iterator[None]:
    stage.stop("postgres")
    yield
    stage.start_postgres()


@pytest.fixture(scope="module")
def stage(bent_service: Stage) -> Stage:
    """A service with one worker, whose PostgreSQL may be bent, with an app of Google's for each way; and so it stays,
    for it is the last to use this service."""
    for name in [name for name in bent_service.children if name.startswith("worker") and name != "worker"]:
        bent_service.stop(name)
    account = str(bent_service.sandbox.demo.service_account)
    bent_service.run("-c", PREPARE.replace("ACCOUNT", account))
    replace_worker(bent_service, WORKER_DATABASE_URL=bent_service.env["WORKER_DATABASE_URL"] + QUICK)
    wait_for_changes(bent_service)
    return bent_service


@pytest.mark.parametrize(
    ("away", "problem"),
    [
        (locked, "canceling statement due to lock timeout"),
        (silent, "connection timeout expired"),  # of the second one: that the first is dead was noticed before
        (stopped, "connection failed"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_pushes_go_on_and_each_has_one_row_afterwards(
    stage: Stage, away: Callable[[Stage], object], problem: str
) -> None:
    before = len(stage.log("worker"))
    apple = {"device_id": iphone(), "platform": "apple_rn-v2"}
    google = {"platform": f"android_{away.__name__}-v2"}
    with away(stage), stage.redis() as valkey:
        early = at_once(stage, a=apple)  # so that there is something to write
        stage.run("-c", ENQUEUE)
        wait_for(lambda: not valkey.llen("record"), PATIENCE, "the worker has taken all messages")

        def taken() -> int:
            return sum(valkey.llen(key) for key in valkey.scan_iter("taken:*:record"))

        wait_for(lambda: taken() <= 1, PATIENCE, "no more than one of them is held")
        answers = at_once(stage, apple=apple, google=google, again=google)
        wait_for(lambda: problem in stage.log("worker")[before:], PATIENCE, "the worker says what is wrong")
        later = at_once(stage, apple_later=apple, google_later=google)
        answers |= {"early": early["a"], **later}
        assert valkey.llen("log:rows") + valkey.scard("log:segments") > 0
    assert {name: answer.status for name, answer in answers.items()} == dict.fromkeys(answers, "OK")
    assert {name for name, answer in answers.items() if answer.seconds > PROMPT} == set()
    assert {row["code"] for row in rows(stage, answers).values()} == {"sent"}
    wait_for(lambda: "the delivery log is written again" in stage.log("worker")[before:], PATIENCE, "that is said, too")
