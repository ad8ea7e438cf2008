"""PostgreSQL fails over to a standby under its address: what waited is written there, each row once, and nothing of a
server that takes no writes yet counts as a fault of what is written."""

import shutil
from collections.abc import Iterator

import pytest

from tests.faults.pushes import GIVEN_UP, replace_worker, wait_for_changes
from tests.faults.rows import rows_of
from tests.load import Load
from tests.stage import Stage
from tests.standby import Standby
from tests.waiting import PATIENCE, wait_for

QUICK = "?client_timeout=2&connect_timeout=2"
IS_STANDBY = "hot standby"


@pytest.fixture
def stage(bent_service: Stage) -> Iterator[Stage]:
    """A service with one worker, which soon gives up a PostgreSQL that says nothing."""
    for name in [name for name in bent_service.children if name.startswith("worker") and name != "worker"]:
        bent_service.stop(name)
    replace_worker(bent_service, WORKER_DATABASE_URL=f"{bent_service.env['WORKER_DATABASE_URL']}{QUICK}")
    yield bent_service
    replace_worker(bent_service)


@pytest.fixture
def standby(stage: Stage) -> Iterator[Standby]:
    """A synchronous standby of its PostgreSQL, whose data are the stage's own at the end."""
    first = stage.postgres
    standby = Standby(stage)
    standby.make_synchronous()
    yield standby
    stage.stop("postgres")
    standby.close()
    data = stage.folder.servers
    shutil.rmtree(data / "postgres")
    (data / "standby").rename(data / "postgres")
    stage.postgres = first
    stage.start_postgres()
    wait_for_changes(stage)


def test_rows_of_pushes_through_a_failover_are_written_once_each_on_the_server_that_took_over(
    stage: Stage, standby: Standby
) -> None:
    before = len(stage.log("worker"))
    load = Load(stage, connections=4)
    load.ease()
    wait_for(lambda: len(load.answers) > 50, PATIENCE, "answers")
    standby.lose_primary(hanging=True)
    lost = len(load.answers)
    standby.lead_here()
    wait_for(lambda: IS_STANDBY in stage.log("worker")[before:], PATIENCE, "it is said that a standby takes no writes")
    wait_for(lambda: len(load.answers) > lost + 50, PATIENCE, "more answers")
    standby.promote()
    load.stop()
    assert load.with_status("OK") == set(load.answers)
    assert max(load.seconds.values()) < GIVEN_UP
    assert {row["outcome"] for row in rows_of(stage, load).values()} == {"sent"}
    with stage.redis() as valkey:
        assert not valkey.exists("log:rejected")
    wait_for_changes(stage)
