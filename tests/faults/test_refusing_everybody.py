"""A provider that refuses everybody's key: nothing is marked, swapped or mailed, and what fails is the provider's."""

import json
import time
from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest

from delivery.worker import refusal_incidents
from tests.faults.pushes import PushAnswer, at_once, rows
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for

KEY: Final = "EVERYBODYS"
SEED: Final = """
import json, os, sys
from pathlib import Path
import django
django.setup()
from billing import customers
from delivery.sandbox import demo
from tenants import services
from tenants.providers import apple_files
from tests.settled import settle_credentials
key, spare = (Path(path).read_bytes() for path in sys.argv[1:3])
keys = {}
for name in ("Refused One", "Refused Two", "Refused Three"):
    customer = customers.add(name=name, offer="eas").row
    services.customer_contacts(customer=customer, contacts=["ada@acme.example"])
    for label in ("apple_spared", "apple_alone"):
        app = services.app_add(label=label, topic="com.mattermost.rn", customer=customer).row
        parsed = apple_files.apple_key(key, key_id="EVERYBODYS", team_id=demo.TEAM_ID)
        services.credential_add(app=app, parsed=parsed)
        if label == "apple_spared":
            parsed = apple_files.apple_key(spare, key_id=demo.KEY_ID, team_id=demo.TEAM_ID)
            services.credential_add(app=app, parsed=parsed, slot="next")
    server = services.server_add(customer=customer, name=f"{customer.slug}.example").row
    keys[name] = services.key_add(server=server).text
settle_credentials()
print(json.dumps(keys))
"""


@pytest.fixture(scope="module")
def refused(bent_service: Stage) -> Iterator[dict[str, dict[str, Any]]]:
    """Three customers with two apps each, whose key Apple refuses from one moment on; the rows of pushes to them after
    the incident was known, by customer and app."""
    stage = bent_service
    sandbox = stage.sandbox
    for name in ("worker", "worker2"):  # other tests stop some
        if name not in stage.children:
            stage.start_worker(name)
    keys = json.loads(stage.run("-c", SEED, str(sandbox.add_key(KEY)), str(sandbox.demo.apns_key)))
    wait_for(lambda: {one.status for one in _pushed(stage, keys).values()} == {"OK"}, PATIENCE, "all push")
    sandbox.remove_key(KEY)

    def incident() -> bool:
        _pushed(stage, keys)
        with stage.redis() as valkey:
            return bool(valkey.exists(refusal_incidents.since_key("apns")))

    wait_for(incident, PATIENCE, "the provider's incident is known")
    until = time.monotonic() + 2 * refusal_incidents.HOLD  # whatever follows from a refusal has followed by then
    while time.monotonic() < until:
        answers = _pushed(stage, keys)
    yield rows(stage, answers)
    with stage.redis() as valkey:
        for key in valkey.keys("credentials:refused:*"):
            valkey.delete(key)


def _pushed(stage: Stage, keys: dict[str, str]) -> dict[str, PushAnswer]:
    pushes = {
        f"{name} {label}": {"key": key, "platform": f"{label}-v2"}
        for name, key in keys.items()
        for label in ("apple_spared", "apple_alone")
    }
    return at_once(stage, **pushes)


def test_what_can_be_sent_with_the_other_key_is_and_the_rest_is_put_down_to_the_provider(
    refused: dict[str, dict[str, Any]],
) -> None:
    ends = {
        (name.rpartition(" ")[2], row["outcome"], row["code"], row["attribution"], row["counts"])
        for name, row in refused.items()
    }
    assert ends == {
        ("apple_spared", "sent", "sent", "provider", True),
        ("apple_alone", "refused", "apns_invalid_provider_token", "provider", False),
    }


def test_nothing_is_marked_swapped_or_mailed(bent_service: Stage, refused: dict[str, dict[str, Any]]) -> None:
    marked = """
        SELECT count(*) FROM tenants_credential AS c JOIN tenants_pushapp AS a ON a.id = c.app_id
        WHERE a.label IN ('apple_spared', 'apple_alone') AND c.refused_at IS NOT NULL
    """
    events = """
        SELECT count(*) FROM tenants_auditevent AS e JOIN tenants_customer AS c ON c.id = e.customer_id
        WHERE c.name LIKE 'Refused %' AND e.action IN ('credential.refused', 'credential.fall_back')
    """
    with psycopg.connect(bent_service.postgres.url) as connection:
        assert [connection.execute(query).fetchall() for query in (marked, events)] == [[(0,)], [(0,)]]
    logs = bent_service.log("worker") + bent_service.log("worker2")
    assert "nothing is marked as refused, no credential takes another's place" in logs
    assert [label for label in ("apple_spared", "apple_alone") if f"a key of the app {label}" in logs] == []
