"""The rows of a load: each push counted once."""

from typing import Any

from tests.load import Load
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for


def rows_of(stage: Stage, load: Load, seconds: float = PATIENCE) -> dict[str, dict[str, Any]]:
    """The rows of a load by ack_id: one per push that was told OK, and each of the others counted once in some row.

    Fails when a push is in no row in time, or in two. (Refusals share rows when there are many of them.)
    """
    everyone, accepted = set(load.answers) | set(load.broken), load.with_status("OK") | set(load.broken)

    def rows() -> list[dict[str, Any]]:
        return stage.rows("ack_id LIKE %s", f"{load.name}-%")

    def all_counted() -> bool:
        found = rows()
        return {row["ack_id"] for row in found} >= accepted and sum(row["count"] for row in found) >= len(everyone)

    wait_for(all_counted, seconds, "every push is counted")
    for number in range(2):  # two more rounds of writing: a second row for a push would come with them, or before
        marker = f"{load.name.replace('load', 'round')}-{number}"
        assert stage.push(ack_id=marker)["status"] == "OK"
        stage.logged(1, where=f"ack_id = '{marker}'")
    found = rows()
    assert sum(row["count"] for row in found) == len(everyone), "a push was counted twice"
    assert all(row["count"] == 1 for row in found if row["ack_id"] in accepted)
    assert len({row["ack_id"] for row in found}) == len(found), "a push has two rows"
    return {row["ack_id"]: row for row in found}
