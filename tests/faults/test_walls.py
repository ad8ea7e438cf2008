"""What staff and customers change holds on a running service within two seconds, and says what to do."""

import http.client
import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.faults.pushes import PushAnswer, push, rows
from tests.stage import Stage, a_push
from tests.waiting import PATIENCE, wait_for

SOON = 2.0
"""Seconds in which a change is in force in every process."""
ACK = b'{"id":"ack","platform":"ios","type":"message"}'


@pytest.fixture(scope="module")
def walls(service: Stage) -> dict[str, Any]:
    """Willa, who may use the shared app and her own, with a server, two keys and a server_id."""
    added: dict[str, Any] = json.loads(service.run("-c", SEED))
    return added


SEED = """
import json
import django
django.setup()
from billing import customers, entitlements
from tenants import services
willa = customers.add(name="Willa", offer="hpns").row
server = services.server_add(customer=willa, name="chat.willa.example").row
services.server_id_add(server=server, mattermost_id="willas-own", confirmed=True)
entitlements.change(customer=willa, may_use_server_id=True)
services.app_add(label="apple_willa", topic="com.example.willa", customer=willa)
keys = [services.key_add(server=server) for _ in range(2)]
print(json.dumps({"keys": [key.text for key in keys], "prefix": keys[1].row.prefix, "id": keys[0].row.pk}))
"""


def by_server_id(service: Stage, **members: Any) -> PushAnswer:
    """A push without a key."""
    ack_id = f"walls-{members.get('platform', '')}"
    body = json.dumps(a_push(server_id="willas-own", ack_id=ack_id, **members)).encode()
    status, answer = service.post("/api/v1/send_push", body)
    assert status == 200
    body = json.loads(answer)
    return PushAnswer(ack_id, body["status"], body.get("error", ""), 0.0)


def soon(done: Callable[[], Any], what: str) -> Any:
    return wait_for(done, SOON, what)


def test_a_server_id_reaches_shared_apps_alone_and_counts_in_no_sla(
    service: Stage, keys: dict[str, str], walls: dict[str, Any]
) -> None:
    wait_for(
        lambda: push(service, walls["keys"][0], platform="apple_willa-v2").code == "no_credential", PATIENCE, "known"
    )
    answers = {name: by_server_id(service, platform=f"apple_{name}-v2") for name in ("shared", "willa")}
    assert answers["shared"].code == "apns_invalid_provider_token", "the shared app's credential is no good here"
    assert answers["willa"].code == "no_app"
    row = rows(service, answers)
    assert [row[name]["key_id"] for name in answers] == [None, None]
    assert (row["shared"]["attribution"], row["shared"]["counts"]) == ("ours", False)
    keyed = {"keyed": push(service, walls["keys"][0], platform="apple_shared-v2")}
    assert rows(service, keyed)["keyed"]["counts"] is True


def test_a_second_server_id_of_a_key_is_recorded(service: Stage, walls: dict[str, Any]) -> None:
    for server_id in ("first-server", "second-server"):
        push(service, walls["keys"][0], server_id=server_id, platform="nobodys")

    def seen() -> set[str]:
        query = "SELECT mattermost_id FROM tenants_sighting WHERE key_id = %s"
        with psycopg.connect(service.postgres.url) as connection:
            return {name for (name,) in connection.execute(query, [walls["id"]]).fetchall()}

    wait_for(lambda: {"first-server", "second-server"} <= seen(), PATIENCE, "both server_ids are known")
    (row,) = [key for key in json.loads(service.manage("key", "list", "--customer", "willa")) if key["last_used_at"]]
    assert row["last_used_at"].endswith(":00+00:00")


def test_a_limit_that_staff_lower_holds_soon_and_says_what_to_do(service: Stage, walls: dict[str, Any]) -> None:
    key = walls["keys"][0]
    assert push(service, key, platform="nobodys").code == "no_app"
    service.manage("customer", "limits", "--slug", "willa", "--server-rate", "1", "--server-burst", "2")
    answer = soon(lambda: (one := push(service, key, platform="nobodys")).code == "over_limit" and one, "it is over")
    assert answer.error.startswith("over_limit this server may send 1 pushes a second and 2 at once, and sent "), answer
    assert ": send less at once, or ask whoever operates this push service for a higher limit (trace " in answer.error
    for _ in range(5):
        wipe = push(service, key, platform="nobodys", type="session", cont_ava=1, message="")
        assert wipe.code == "no_app", "a wipe passes"
        assert service.post(f"/t/{key}/api/v1/ack", ACK) == (200, b'{"status":"OK"}'), "an ack passes"
    assert push(service, platform="nobodys").code == "no_app", "other customers notice nothing"
    flood = [push(service, key, platform="nobodys", ack_id=f"flood-{n}") for n in range(40)]
    refused = [one for one in flood if one.code == "over_limit"]
    assert len(refused) > 30
    # Many share a row, whose trace is the one that each of them was told.
    traces = {one.error.partition("(trace ")[2].partition(")")[0] for one in refused}

    def counted() -> int:
        return sum(row["count"] for row in service.rows("code = 'over_limit'") if row["trace"] in traces)

    wait_for(lambda: counted() >= len(refused), PATIENCE, "each refused push is counted")
    assert counted() <= len(refused) + 1, "a row that it shares with the push before the flood"
    service.manage("customer", "limits", "--slug", "willa", "--server-rate", "0", "--server-burst", "0")
    soon(lambda: push(service, key, platform="nobodys").code == "no_app", "there is no limit any more")


def test_a_revoked_key_is_refused_by_every_web_process_also_while_postgres_stands_still(
    service: Stage, walls: dict[str, Any]
) -> None:
    good, spare = walls["keys"]
    with service.more_ingest(workers=2) as port:

        def codes(key: str) -> dict[str, set[str]]:
            """What each web process says, by its name in the traces."""
            found: dict[str, set[str]] = {}
            for _ in range(40):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                try:
                    connection.request("POST", f"/t/{key}/api/v1/send_push", json.dumps(a_push(platform="x")).encode())
                    error = json.loads(connection.getresponse().read())["error"]
                except OSError:
                    return {}  # nobody listens yet
                finally:
                    connection.close()
                found.setdefault(error.rpartition("(trace ")[2].partition("-")[0], set()).add(error.split()[0])
                if len(found) == 2:
                    break
            return found

        wait_for(lambda: len(codes(spare)) == 2, PATIENCE, "two web processes answer")
        service.manage("key", "revoke", "--prefix", walls["prefix"])
        soon(lambda: list(codes(spare).values()) == [{"revoked_key"}] * 2, "both refuse it")
        with service.paused("postgres"):
            assert list(codes(spare).values()) == [{"revoked_key"}] * 2
            assert list(codes(good).values()) == [{"no_app"}] * 2
