"""A provider that refuses everybody's key: nothing is marked, swapped or mailed, and what fails is the provider's."""

import json
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

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


CODE: Final = "apns_invalid_provider_token"
COUNTED: Final = """
SELECT m.attribution, sum(m.pushes)::int
FROM delivery_minute_now AS m JOIN tenants_customer AS c ON c.id = m.customer_id
WHERE c.name LIKE 'Refused %' AND m.grain = 0 AND m.outcome = 'refused' GROUP BY 1 HAVING sum(m.pushes) <> 0
"""


class Refused(NamedTuple):
    """What came of pushes that Apple refused: the rows of those after its incident was known, by customer and app, and
    the answers to all, the first ones first."""

    rows: dict[str, dict[str, Any]]
    answers: list[PushAnswer]


@pytest.fixture(scope="module")
def refused(bent_service: Stage) -> Iterator[Refused]:
    """Three customers with two apps each, whose key Apple refuses from one moment on."""
    stage = bent_service
    sandbox = stage.sandbox
    for name in ("worker", "worker2"):  # other tests stop some
        if name not in stage.children:
            stage.start_worker(name)
    keys = json.loads(stage.run("-c", SEED, str(sandbox.add_key(KEY)), str(sandbox.demo.apns_key)))
    wait_for(lambda: {one.status for one in _pushed(stage, keys).values()} == {"OK"}, PATIENCE, "all push")
    sandbox.remove_key(KEY)
    everything: list[PushAnswer] = []

    def incident() -> bool:
        everything.extend(_pushed(stage, keys).values())
        with stage.redis() as valkey:
            return bool(valkey.exists(refusal_incidents.since_key("apns")))

    wait_for(incident, PATIENCE, "the provider's incident is known")
    until = time.monotonic() + 2 * refusal_incidents.HOLD  # whatever follows from a refusal has followed by then
    answers: dict[str, PushAnswer] = {}

    def known_everywhere() -> bool:
        answers.update(_pushed(stage, keys))
        everything.extend(answers.values())
        failed = [each.error for each in answers.values() if each.code == CODE]
        return time.monotonic() > until and all("nothing to do about the key" in each for each in failed)

    wait_for(known_everywhere, PATIENCE, "whoever sends knows of the incident")
    yield Refused(rows(stage, answers), everything)
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
    refused: Refused,
) -> None:
    ends = {
        (name.rpartition(" ")[2], row["outcome"], row["code"], row["attribution"], row["counts"])
        for name, row in refused.rows.items()
    }
    assert ends == {
        ("apple_spared", "sent", "sent", "provider", True),
        ("apple_alone", "refused", CODE, "provider", False),
    }


def test_so_are_the_pushes_that_were_refused_before_it_was_known_and_each_is_counted_once(
    bent_service: Stage, refused: Refused
) -> None:
    failed = [each.ack_id for each in refused.answers if each.code == CODE]

    def whose() -> list[tuple[str, bool]]:
        found = bent_service.rows("ack_id = ANY(%s)", failed)
        return sorted((row["attribution"], row["counts"]) for row in found)

    wait_for(lambda: whose() == len(failed) * [("provider", False)], PATIENCE, "the first ones are the provider's, too")
    with psycopg.connect(bent_service.postgres.url) as connection:
        counted = connection.execute(COUNTED).fetchall()
    assert counted == [("provider", len(failed))]


def test_a_servers_log_is_told_to_check_the_key_until_it_is_known_and_then_that_nothing_is_to_be_done(
    refused: Refused,
) -> None:
    told = [each.error for each in refused.answers if each.code == CODE]
    assert "check that key id, team id and key file belong together" in told[0]
    assert "nothing to do about the key, for Apple refuses those of many customers at once" in told[-1]
    assert "check that key id" not in told[-1]


def test_nothing_is_marked_swapped_or_mailed(bent_service: Stage, refused: Refused) -> None:
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
