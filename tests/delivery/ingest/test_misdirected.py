"""Addresses as people mistype the setting: each push there is told the right form, and no page is taken for one."""

import json
from types import SimpleNamespace

import pytest
import redis
from pytest_django import Settings

from delivery.ingest.lean_request import LeanRequest
from delivery.ingest.misdirected import Misdirected, is_misdirected
from delivery.ingest.outbox import Outbox
from tenants import keys
from tenants.directory.live import DIRECTORY
from tenants.directory.snapshot import Identity, Snapshot
from tests.delivery.web_process import proxies, rows

pytestmark = pytest.mark.usefixtures("valkey")

KEY = f"hk_{'a' * 8}_{'b' * 32}"
MISTYPED = [
    f"/{KEY}/api/v1/send_push",
    "/api/v1/send_push/api/v1/send_push",
    f"/t/{KEY}/api/v1/send_push/api/v1/send_push",
    f"/?key={KEY}/api/v1/send_push",
    f"/t/{KEY}?x=/api/v1/send_push",
    f"/t/{KEY}/extra/api/v1/send_push",
    "//api/v1/send_push",
    "/api/v1/ack/api/v1/ack",
    f"/{KEY}/api/v1/ack",
]


@pytest.mark.parametrize("target", MISTYPED)
def test_a_mistyped_setting_is_known_by_what_mattermost_puts_behind_it(target: str) -> None:
    assert is_misdirected("POST", target.encode())
    assert not is_misdirected("GET", target.encode())


@pytest.mark.parametrize(
    "target", ["/", "/accounts/login/", "/c/acme/back", "/stack", "/t/x/version", "/?next=/c/ack-1"]
)
def test_a_page_is_none(target: str) -> None:
    assert not is_misdirected("POST", target.encode())


def told(view: Misdirected, target: str) -> str:
    """The text of the FAIL that a POST there is answered."""
    scope = SimpleNamespace(
        method="POST", scheme="https", headers={}, client="127.0.0.1:1", tls="", target=target.encode()
    )
    answer = view.judge_head(LeanRequest(scope, target.partition("?")[0]))
    assert answer.status_code == 200
    found = json.loads(answer.content)
    assert found["status"] == "FAIL"
    return str(found["error"])


@pytest.fixture
def view(outbox: Outbox, settings: Settings) -> Misdirected:
    """What answers such requests, in a process that knows the key."""
    settings.PUBLIC_URL = "https://push.example.com/"
    identity = Identity(3, 2, 1, active=True, rejection_code="", digest=keys.digest(KEY, settings.HASH_KEY))
    DIRECTORY.install(Snapshot(1, 1.0, {"a" * 8: identity}, [], []), "postgres")
    return Misdirected(outbox, proxies())


@pytest.mark.parametrize("target", MISTYPED)
async def test_the_answer_says_the_right_form_and_repeats_no_key(view: Misdirected, target: str) -> None:
    text = told(view, target)
    assert text.startswith("wrong_address ")
    assert "https://push.example.com/t/KEY," in text
    assert "hk_" not in text


async def test_a_customers_own_key_in_it_makes_the_push_a_row_of_the_customers(
    view: Misdirected, outbox: Outbox, store: redis.Redis
) -> None:
    text = told(view, f"/{KEY}/api/v1/send_push")
    (row,) = await rows(store, 1)
    assert f"(trace {row['trace']})" in text
    assert (row["customer_id"], row["server_id"], row["key_id"], row["code"]) == ("1", "2", "3", "wrong_address")
    assert list(outbox.rejections._counted) == [(3, "wrong_address", "127.0.0.1")]


async def test_the_beginning_of_a_key_makes_no_row(view: Misdirected, outbox: Outbox) -> None:
    told(view, f"/{KEY[:-1]}/api/v1/send_push")
    assert not outbox.turned_away._unsaved
    assert list(outbox.rejections._counted) == [(3, "wrong_address", "127.0.0.1")]


async def test_an_ack_makes_no_row(view: Misdirected, outbox: Outbox) -> None:
    assert "trace" not in told(view, f"/{KEY}/api/v1/ack")
    assert not outbox.turned_away._unsaved
