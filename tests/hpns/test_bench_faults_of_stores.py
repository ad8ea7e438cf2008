"""What faults of the stores are judged by beside the table: an outage of PostgreSQL, a replica of Valkey's that lags,
batches that were taken away."""

import socket

import psycopg
import pytest

from tests.bench.faults import around, stores
from tests.bench.faults.records import Told
from tests.bench.faults.stores import Outage, Starting
from tests.stage import free_port

CALM = Outage(12_000, 12_000 * 360, [3] * 600, 7, {"a web process": 10.0, "a worker": 3.0})


def test_a_calm_outage_is_right_and_is_told_in_numbers() -> None:
    assert stores.wrong(CALM) == []
    assert stores.words(CALM) == (
        "12000 rows waited, 360 bytes each; dials a second of 7 processes: 3.0, 3 at most; new processes served "
        "without it: a web process 10.0 s, a worker 3.0 s"
    )


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"bytes": 12_000 * 1_001}, "each waiting row takes 1001 bytes"),
        ({"dials": [3] * 599 + [22]}, "dialled 22 times in a second by 7 processes"),
        ({"dials": [11] * 600}, "dialled 11.0 times a second in the mean"),
        ({"started": {"a worker": 61.0}}, "a worker served after 61 s"),
    ],
)
def test_each_thing_that_may_not_be_in_an_outage_is_noticed(changed: dict[str, object], what: str) -> None:
    (found,) = stores.wrong(CALM._replace(**changed))
    assert what in found


def told(status: str, at: float = 110.0, seconds: float = 5.1) -> Told:
    """A push that met its deadline."""
    return Told(f"{status}-{at}", "Acme", "message", at, status=status, seconds=seconds)


def test_what_is_told_ok_at_its_deadline_while_the_replica_lags_is_noticed() -> None:
    assert stores.lagged([told("FAIL"), told("OK", seconds=0.1)], 100, 120) == []
    (found,) = stores.lagged([told("FAIL"), told("OK")], 100, 120)
    assert "1 told OK because they were queued" in found


def test_a_replica_that_lagged_while_no_push_met_its_deadline_shows_nothing() -> None:
    for pushes in ([], [told("OK", at=99.0)], [told("OK", seconds=0.1)]):
        assert "this shows nothing" in stores.lagged(pushes, 100, 120)[0]


def test_batches_that_were_taken_away_are_noticed_where_the_ledger_or_the_log_says_nothing_of_them() -> None:
    assert around.accounted(3, 2, 2, 2) == []
    for entered, counted, exported, written in ((0, 2, 2, 2), (3, 0, 0, 0), (3, 2, 2, 1), (3, 2, 0, 2)):
        assert len(around.accounted(entered, counted, exported, written)) == 1


def test_whoever_dials_a_postgresql_that_is_starting_up_is_counted_and_told_so() -> None:
    port = free_port()
    starting = Starting(port)
    for mode in ("disable", "prefer"):
        with pytest.raises(psycopg.OperationalError, match="starting up"):
            psycopg.connect(f"postgresql://u:p@127.0.0.1:{port}/d?sslmode={mode}", connect_timeout=10)
    came = starting._came.total()
    starting.close()
    assert came == 2
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
