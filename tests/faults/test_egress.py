"""The outgoing proxy of the settings (HTTPS_PROXY): everything goes through it but what NO_PROXY excepts, and what it
refuses is named as such.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.faults.egress_proxy import Proxy, running_proxy
from tests.faults.pushes import GIVEN_UP, PROMPT, PushAnswer, at_once, push, replace_worker, rows
from tests.stage import Stage

PASSWORD = "p@ss/word-of-the-proxy"
IN_A_URL = "p%40ss%2Fword-of-the-proxy"
BOTH = {"apple": {"platform": "apple_rn-v2"}, "google": {"platform": "android_rn-v2"}}


class Passed(NamedTuple):
    """Pushes through a proxy, where it was asked to connect to, and the fetched access tokens."""

    answers: dict[str, PushAnswer]
    targets: list[str]
    grants: int


def passed(service: Stage, proxy: Proxy) -> Passed:
    """Push to both providers through the proxy of the present worker."""
    before = service.sandbox.state()["last"]
    answers = at_once(service, **BOTH)
    grants = service.sandbox.requests(provider="oauth", since=before)
    return Passed(answers, list(proxy.targets), len(grants))


@pytest.fixture(scope="module")
def open_proxy(service: Stage) -> Passed:
    """What passes a proxy that wants no password."""
    with running_proxy() as proxy:
        replace_worker(service, HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}")
        return passed(service, proxy)


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    """A proxy that wants a password."""
    with running_proxy() as running:
        running.user_and_password = f"hpns:{PASSWORD}"
        yield running


@pytest.fixture(scope="module")
def guarded(service: Stage, proxy: Proxy) -> Passed:
    """What passes it with the right password; the worker that knows it stays."""
    replace_worker(service, HTTPS_PROXY=f"http://hpns:{IN_A_URL}@127.0.0.1:{proxy.port}")
    return passed(service, proxy)


@pytest.mark.parametrize("fixture", ["open_proxy", "guarded"])
def test_pushes_and_token_fetches_go_through_the_proxy(
    service: Stage, request: pytest.FixtureRequest, fixture: str
) -> None:
    through: Passed = request.getfixturevalue(fixture)
    assert {answer.status for answer in through.answers.values()} == {"OK"}, through.answers
    assert through.grants == 1
    # Apple's connection, Google's, and the one to the token endpoint.
    assert through.targets == [f"localhost:{service.sandbox.port}"] * 3


def test_a_proxy_that_refuses_the_password_is_named_and_nothing_is_sent(
    service: Stage, proxy: Proxy, guarded: Passed
) -> None:
    before = service.sandbox.state()["last"]
    proxy.user_and_password = "hpns:another one"
    proxy.drop()
    # Tests, which are not tried later.
    answers = at_once(service, **{name: {**members, "type": "test"} for name, members in BOTH.items()})
    proxy.user_and_password = f"hpns:{PASSWORD}"
    for one in answers.values():
        assert one.error.startswith("transport_proxy the outgoing proxy opened no way to localhost ("), one
        assert "407" in one.error
        assert PASSWORD not in one.error
        assert one.seconds < GIVEN_UP
    assert service.sandbox.state()["last"] == before
    for row in rows(service, answers).values():
        assert (row["outcome"], row["attribution"]) == ("failed", "ours")
        assert PASSWORD not in str(row)
    assert push(service).seconds < PROMPT, "the next push goes through"


def test_a_proxy_that_breaks_off_between_two_pushes_is_connected_to_again(
    service: Stage, proxy: Proxy, guarded: Passed
) -> None:
    proxy.drop()
    answers = at_once(service, **BOTH)
    assert all(one.status == "OK" and one.seconds < PROMPT for one in answers.values()), answers


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_a_host_that_the_settings_except_is_reached_without_the_proxy(service: Stage, name: str) -> None:
    with running_proxy() as closed:
        closed.user_and_password = "nobody:knows"
        replace_worker(service, **{"HTTPS_PROXY": f"http://127.0.0.1:{closed.port}", name: "other.example,localhost"})
        through = passed(service, closed)
    assert {answer.status for answer in through.answers.values()} == {"OK"}, through.answers
    assert (closed.targets, closed.refused) == ([], 0)
