"""The machine that Valkey runs on loses power while pushes wait: what was told OK is sent all the same."""

import time
from collections import defaultdict

from tests.faults.power_cut import PowerCut
from tests.load import Load
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for


def apns_ids(stage: Stage, load: Load) -> dict[str, set[str]]:
    """Under which ids Apple got the pushes of a load, by ack_id."""
    found = defaultdict(set)
    for request in stage.sandbox.requests(provider="apns"):
        if request["json"]["ack_id"].startswith(f"{load.name}-"):
            found[request["json"]["ack_id"]].add(request["headers"]["apns-id"])
    return found


def test_what_was_told_ok_is_sent_though_valkeys_machine_lost_power_while_it_waited(bent_service: Stage) -> None:
    stage = bent_service
    for name in [name for name in stage.children if name.startswith("worker")]:
        stage.stop(name)
    begun = len(stage.log("ingest"))
    with PowerCut(stage) as power, stage.redis() as valkey:
        saved = Load(stage, connections=10, most=10)
        time.sleep(3)
        before = valkey.llen("push")
        unsaved = Load(stage, connections=60, most=60)
        wait_for(lambda: valkey.llen("push") > before, PATIENCE, "Valkey has what it will lose")
        time.sleep(0.3)
        power.cut()
    stage.start_valkey()
    saved.wait()
    unsaved.wait()
    stage.start_worker("worker")
    for load in (saved, unsaved):
        accepted = load.with_status("OK")
        assert accepted
        wait_for(lambda load=load, accepted=accepted: accepted <= set(apns_ids(stage, load)), PATIENCE, "all are sent")
        assert all(len(ids) == 1 for ids in apns_ids(stage, load).values())
    assert saved.with_status("OK") == set(saved.answers)
    assert "batches are published again" in stage.log("ingest")[begun:], "nothing was lost: this test shows nothing"
