"""Reconciliation by a customer's own program, with a server key in place of a login."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from tenants import keys
from tenants.models import Entitlement, Server, ServerKey
from tenants.pages import machine_door
from tests.billing.sla.test_pages import IDS, logged
from tests.browsing import Browser, Tenant, tenant

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
URL = "/api/v1/sla/reconcile"


@pytest.fixture(autouse=True)
def _nothing_counted(valkey: redis.Redis) -> None:
    cache.clear()


@pytest.fixture
def acme(db: None) -> Tenant:
    found = tenant("Acme")
    logged(found)
    return found


def key_of(one: Tenant, **more: Any) -> str:
    text, prefix, digest = keys.new_key(settings.HASH_KEY)
    ServerKey.objects.create(server=one.server, prefix=prefix, digest=digest, **more)
    return text


def ask(key: str, body: Any, *, kind: str = "application/json", scheme: str = "Bearer", **more: Any) -> Any:
    headers = {"Authorization": f"{scheme} {key}"} if key else {}
    data = body if isinstance(body, str) else json.dumps(body)
    return Browser().post(URL, data, content_type=kind, headers=headers, **more)


def test_a_program_holds_its_own_counts_against_ours(acme: Tenant) -> None:
    wanted = [IDS["sent"], IDS["ours"], IDS["unknown"]]
    answer = ask(key_of(acme), {"ack_ids": wanted})
    assert answer.status_code == 200
    assert (answer["Content-Type"], "no-store" in answer["Cache-Control"]) == ("application/json", True)
    said = answer.json()
    assert (said["asked"], said["known"], said["failed_by_us"], said["unclear_lines"]) == (3, 2, 1, 0)
    assert [(row["ack_id"], row["known"], row["outcome"], row["counted"]) for row in said["pushes"]] == [
        (IDS["sent"], True, "sent", "valid"),
        (IDS["ours"], True, "failed", "failed by us"),
        (IDS["unknown"], False, "", "not known"),
    ]
    assert set(said["pushes"][0]) == {
        *("ack_id", "known", "minute", "outcome", "code", "counted", "minute_verdict", "trace"),
    }


def test_log_lines_are_taken_as_on_the_page_and_the_key_by_http_basic(acme: Tenant) -> None:
    basic = base64.b64encode(f":{key_of(acme)}".encode()).decode()
    lines = json.dumps({"msg": "push", "ackId": IDS["sent"]}) + "\nno id here at all!\n"
    said = ask(basic, lines, kind="text/plain", scheme="Basic").json()
    assert (said["asked"], said["known"], said["unclear_lines"]) == (1, 1, 1)


def test_another_customers_key_finds_nothing_of_it(acme: Tenant) -> None:
    said = ask(key_of(tenant("Cosmos")), {"ack_ids": [IDS["sent"]]}).json()
    assert (said["asked"], said["known"]) == (1, 0)


@pytest.mark.parametrize("case", ["none", "nonsense", "unknown", "revoked", "expired", "wrong secret"])
def test_no_other_key_is_let_in(acme: Tenant, case: str) -> None:
    now = timezone.now()
    given = {
        "none": lambda: "",
        "nonsense": lambda: "hk_x",
        "unknown": lambda: keys.new_key(settings.HASH_KEY)[0],
        "revoked": lambda: key_of(acme, revoked_at=now),
        "expired": lambda: key_of(acme, expires_at=now - timedelta(seconds=1)),
        "wrong secret": lambda: key_of(acme)[:-4] + "0000",
    }[case]()
    answer = ask(given, {"ack_ids": [IDS["sent"]]})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unknown_key"
    assert answer["WWW-Authenticate"] == "Bearer"


def test_the_networks_that_the_keys_server_is_bound_to_hold(acme: Tenant) -> None:
    Server.objects.filter(pk=acme.server.pk).update(networks=["203.0.113.0/24"])
    assert ask(key_of(acme), {"ack_ids": ["x"]}).json()["error"]["code"] == "wrong_network"


def test_a_key_that_came_unencrypted_is_refused_where_pushes_with_it_are(acme: Tenant) -> None:
    key, afar = key_of(acme), {"REMOTE_ADDR": "203.0.113.9"}
    Entitlement.objects.update(tls_required=True)
    assert ask(key, {"ack_ids": ["x"]}, **afar).json()["error"]["code"] == "plain_http"
    assert ask(key, {"ack_ids": ["x"]}, secure=True, **afar).status_code == 200
    Entitlement.objects.update(tls_required=False)
    assert ask(key, {"ack_ids": ["x"]}, **afar).status_code == 200


def test_guesses_of_keys_are_limited_by_network(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_door, "WRONG", 3)
    assert [ask("hk_x", {}).status_code for _ in range(4)] == [401, 401, 401, 429]
    assert ask(key_of(acme), {"ack_ids": ["x"]}).status_code == 429


def test_requests_are_limited_by_customer_and_no_other_customer_pays_for_it(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_door, "BY_CUSTOMER", 2)
    key, cosmos = key_of(acme), key_of(tenant("Cosmos"))
    answers = [ask(key, {"ack_ids": ["x"]}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1]["Retry-After"] == "60"
    assert ask(cosmos, {"ack_ids": ["x"]}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "unreadable"),
        ("[" * 100_000, 400, "unreadable"),
        ({"ack_ids": "x"}, 400, "unreadable"),
        ({"ack_ids": [1]}, 400, "unreadable"),
        ({"ack_ids": ["a\0b"]}, 400, "unreadable"),
        ({"ack_ids": ["x" * 65]}, 400, "unreadable"),
        ({"ack_ids": []}, 400, "no_ack_id"),
        ({"ack_ids": [f"{number:026d}" for number in range(10_001)]}, 413, "too_many"),
        ("x" * (1024 * 1024 + 1), 413, "too_large"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(acme: Tenant, body: Any, status: int, code: str) -> None:
    answer = ask(key_of(acme), body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_without_the_store_of_counts_nobody_is_let_in(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise redis.ConnectionError("away")

    monkeypatch.setattr(cache, "get", away)
    assert ask(key_of(acme), {"ack_ids": ["x"]}).status_code == 503
