"""The other ways to prove who one is; and what keeps a good key out: plain HTTP, a foreign network, a service off."""

import msgspec
import pytest
from pytest_django import Settings

from tenants import keys, network
from tenants.authentication import KEYLESS, KeyAuthentication, Keyless
from tenants.directory.live import Directory
from tenants.directory.snapshot import Identity, Snapshot
from tenants.refusals import CallerRejected, WrongNetwork
from tests.tenants.push_request import Request

HASH_KEY = b"h" * 32
CLIENT, LOCAL = "203.0.113.9:4711", "127.0.0.1:4711"
LISTED = Identity(0, 1, 1, active=True, rejection_code="", digest=b"")
ANYBODY = Identity(0, 9, 9, active=True, rejection_code="", digest=b"", tls=False, trial=True, anonymous=True)
GOOD, OTHER = keys.new_key(HASH_KEY), keys.new_key(HASH_KEY)
KEY = GOOD[0]


class AuthCase:
    """A directory with two keys, of customers 1 and 2; whatever else is so of the first is given."""

    def __init__(self, listed: bool = False, anybody: bool = False, **members: object) -> None:
        known = {
            prefix: Identity(number, number, number, active=True, rejection_code="", digest=digest)
            for number, (_, prefix, digest) in enumerate((GOOD, OTHER), 1)
        }
        known[GOOD[1]] = msgspec.structs.replace(known[GOOD[1]], **members)
        self.directory = Directory()
        by_id = {"registered": [msgspec.structs.replace(LISTED, **members)]} if listed else {}
        nobody = [msgspec.structs.replace(ANYBODY, **members)] if anybody else []
        self.directory.install(Snapshot(1, 1.0, known, [], [], by_id, nobody), "postgres")

    def customer_of(self, request: Request) -> int:
        """The customer that a request speaks for; 0 without a key."""
        return KeyAuthentication(self.directory).authenticate(request)[0].customer_id

    def rejection(self, request: Request) -> str:
        with pytest.raises(CallerRejected) as raised:
            self.customer_of(request)
        return raised.value.code

    def identify(self, server_id: str = "registered", request: Request | None = None) -> int:
        """The customer that a push without a key speaks for, by its server_id."""
        return Keyless(self.directory).identify(server_id, request or Request()).customer_id

    def keyless_rejection(self, server_id: str = "registered", request: Request | None = None) -> str:
        with pytest.raises(CallerRejected) as raised:
            self.identify(server_id, request)
        return raised.value.code


@pytest.fixture(autouse=True)
def _hash_key(settings: Settings) -> None:
    settings.HASH_KEY = HASH_KEY


def auth(token: str, server_id: str = "7up1nnng4trrmqbo9o8az4zmhy", **more: str) -> Request:
    """A request with Mattermost's own headers."""
    return Request(x_mattermost_auth=token, x_mattermost_serverid=server_id, **more)


# --- X-Mattermost-Auth


def test_a_key_in_mattermosts_own_header_counts_beside_its_server_id() -> None:
    assert AuthCase().customer_of(auth(KEY)) == 1
    assert AuthCase().customer_of(auth(OTHER[0])) == 2
    assert AuthCase().customer_of(auth(f" {KEY} ")) == 1


@pytest.mark.parametrize(
    "request_", [Request(x_mattermost_auth=KEY), auth(KEY, ""), auth(""), Request(x_mattermost_serverid="x")]
)
def test_one_of_the_two_headers_alone_is_no_key(request_: Request) -> None:
    assert AuthCase().rejection(request_) == "no_key"


@pytest.mark.parametrize(
    "token",
    [
        KEY[:-1],
        KEY + "A",
        KEY.upper(),
        "\x00",
        "x" * 1025,
        KEY + " " * 1000,
        f"Bearer {KEY}",
        "é" * 44,
        KEY[:-1] + "٣",
    ],
    ids=map(str, range(9)),
)
def test_anything_else_in_it_is_no_key_of_ours(token: str) -> None:
    assert AuthCase().rejection(auth(token)) == "unknown_key"


def test_a_key_in_the_address_comes_first() -> None:
    assert (
        AuthCase().customer_of(
            Request(f"/t/{KEY}/api/v1/send_push", x_mattermost_auth="junk", x_mattermost_serverid="x")
        )
        == 1
    )


def test_a_header_of_another_scheme_leaves_mattermosts_own_to_count() -> None:
    assert (
        AuthCase().customer_of(Request(authorization="Bearer x", x_mattermost_auth=KEY, x_mattermost_serverid="x")) == 1
    )


def test_the_guard_stands_at_every_way_in() -> None:
    plain = {"scheme": "http", "peer": CLIENT}
    for request in (Request(f"/t/{KEY}", **plain), auth(KEY, **plain)):
        assert AuthCase().rejection(request) == "plain_http"


# --- Plain HTTP


def test_a_key_over_plain_http_is_refused_and_over_tls_it_is_not() -> None:
    assert AuthCase().rejection(Request(f"/t/{KEY}", scheme="http", peer=CLIENT)) == "plain_http"
    assert AuthCase().customer_of(Request(f"/t/{KEY}", scheme="https", peer=CLIENT)) == 1


def test_a_wrong_key_over_plain_http_is_told_nothing_about_plain_http() -> None:
    wrong = KEY[:-1] + ("A" if KEY[-1] != "A" else "B")
    assert AuthCase().rejection(Request(f"/t/{wrong}", scheme="http", peer=CLIENT)) == "unknown_key"


def test_from_this_machine_or_a_network_that_is_allowed_plain_http_will_do(settings: Settings) -> None:
    settings.PLAIN_HTTP_FROM = network.networks(["203.0.113.0/24"])
    for peer in (LOCAL, CLIENT):
        assert AuthCase().customer_of(Request(f"/t/{KEY}", scheme="http", peer=peer)) == 1
    assert AuthCase().rejection(Request(f"/t/{KEY}", scheme="http", peer="198.51.100.1:1")) == "plain_http"


def test_a_trusted_proxy_that_names_no_scheme_is_ours_to_mend_and_no_reason_for_a_new_key(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = network.networks(["10.0.0.0/8"])
    told = {"x_forwarded_for": "203.0.113.9"}
    brought = Request(f"/t/{KEY}", scheme="http", peer="10.0.0.1:1", **told)
    assert AuthCase().rejection(brought) == "unnamed_scheme"
    assert AuthCase().rejection(Request(f"/t/{KEY}", scheme="http", peer=CLIENT, **told)) == "plain_http"
    plain = Request(f"/t/{KEY}", scheme="http", peer="10.0.0.1:1", x_forwarded_proto="http", **told)
    assert AuthCase().rejection(plain) == "plain_http"


def test_a_trusted_proxy_that_says_https_is_believed_and_nobody_else(settings: Settings) -> None:
    forwarded_headers = {"x_forwarded_for": "203.0.113.9", "x_forwarded_proto": "https"}
    assert (
        AuthCase().rejection(Request(f"/t/{KEY}", scheme="http", peer="10.0.0.1:1", **forwarded_headers))
        == "plain_http"
    )
    settings.TRUSTED_PROXIES = network.networks(["10.0.0.0/8"])
    assert AuthCase().customer_of(Request(f"/t/{KEY}", scheme="http", peer="10.0.0.1:1", **forwarded_headers)) == 1
    assert AuthCase().rejection(Request(f"/t/{KEY}", scheme="http", peer=CLIENT, **forwarded_headers)) == "plain_http"


def test_an_offer_without_tls_takes_its_keys_from_anywhere(settings: Settings) -> None:
    settings.TEST_SERVICE = True
    assert AuthCase(tls=False).customer_of(Request(f"/t/{KEY}", scheme="http", peer=CLIENT)) == 1


# --- Networks


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_server_with_networks_is_let_in_from_these_alone(scheme: str) -> None:
    case = AuthCase(networks=("127.0.0.0/8", "2001:db8::/32"), tls=scheme == "https")
    assert case.customer_of(Request(f"/t/{KEY}", scheme=scheme, peer=LOCAL)) == 1
    assert case.customer_of(Request(f"/t/{KEY}", scheme=scheme, peer="[2001:db8::7]:1")) == 1
    assert case.customer_of(Request(f"/t/{KEY}", scheme=scheme, peer="[::ffff:127.0.0.1]:1")) == 1
    assert case.rejection(Request(f"/t/{KEY}", scheme=scheme, peer=CLIENT)) == "wrong_network"
    assert case.rejection(Request(f"/t/{KEY}", scheme=scheme, peer="")) == "wrong_network"
    assert case.customer_of(Request(f"/t/{OTHER[0]}", peer=CLIENT)) == 2


def test_networks_are_held_against_the_client_behind_a_trusted_proxy_whatever_it_writes(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = network.networks(["10.0.0.0/8"])
    case = AuthCase(networks=("203.0.113.0/24", "10.0.0.0/8"))
    behind = {"peer": "10.0.0.1:1", "x_forwarded_proto": "https"}
    assert case.customer_of(Request(f"/t/{KEY}", x_forwarded_for="203.0.113.9", **behind)) == 1
    for forwarded in ("203.0.113.9, 198.51.100.1", "unknown", "é, 203.0.113.9", ["203.0.113.9", "198.51.100.1"]):
        assert case.rejection(Request(f"/t/{KEY}", x_forwarded_for=forwarded, **behind)) == "wrong_network"


def test_a_network_that_was_kept_as_ipv4_in_ipv6_counts_too() -> None:
    assert AuthCase(networks=("::ffff:203.0.113.0/120",)).customer_of(Request(f"/t/{KEY}", peer=CLIENT)) == 1


@pytest.mark.parametrize(
    ("peer", "address"),
    [(CLIENT, "203.0.113.9"), ("[::ffff:203.0.113.9]:1", "203.0.113.9"), ("[2001:db8::7]:1", "2001:db8::7"), ("", "")],
)
def test_who_comes_from_elsewhere_is_told_the_address_that_was_seen(peer: str, address: str) -> None:
    case = AuthCase(networks=("198.51.100.0/24",), listed=True)
    for customer_of in (
        lambda: case.customer_of(Request(f"/t/{KEY}", peer=peer)),
        lambda: case.identify(request=Request(peer=peer)),
    ):
        with pytest.raises(WrongNetwork) as raised:
            customer_of()
        assert raised.value.details == {"address": address}


# --- No key


def test_without_a_key_nobody_is_anybody_unless_some_push_could_be(settings: Settings) -> None:
    assert AuthCase().rejection(Request()) == "no_key"
    assert AuthCase(listed=True).customer_of(Request()) == KEYLESS.customer_id
    assert AuthCase(anybody=True).rejection(Request()) == "no_key"
    settings.TEST_SERVICE = True
    assert AuthCase().rejection(Request()) == "no_key"
    assert AuthCase(anybody=True).customer_of(Request()) == KEYLESS.customer_id


def test_a_key_that_is_none_is_not_taken_for_no_key(settings: Settings) -> None:
    settings.TEST_SERVICE = True
    case = AuthCase(listed=True, anybody=True)
    assert case.rejection(Request("/t/junk/api/v1/send_push")) == "unknown_key"
    assert case.rejection(auth("junk")) == "unknown_key"
    assert case.rejection(Request(authorization="Basic junk")) == "unknown_key"


def test_what_stands_for_no_key_may_do_nothing_by_itself() -> None:
    assert (KEYLESS.active, KEYLESS.rejection_code, KEYLESS.key_id, KEYLESS.customer_id) == (False, "no_key", 0, 0)


@pytest.mark.parametrize("server_id", ["", "REGISTERED", "registered ", "registered\x00", "x" * 100_000, "ｒegistered"])
def test_only_the_very_server_id_that_is_registered_speaks_for_its_server(server_id: str) -> None:
    case = AuthCase(listed=True)
    assert case.identify("registered") == 1
    assert case.keyless_rejection(server_id) == "no_key"


def test_whoever_is_not_registered_is_the_test_services_while_it_is_on(settings: Settings) -> None:
    case = AuthCase(listed=True, anybody=True)
    assert case.keyless_rejection("another") == "no_key"
    settings.TEST_SERVICE = True
    assert case.identify("another", Request(scheme="http", peer=CLIENT)) == 9
    assert case.identify("registered") == 1


def test_a_registered_server_id_is_held_to_what_its_keys_are() -> None:
    assert AuthCase(listed=True).keyless_rejection(request=Request(scheme="http", peer=CLIENT)) == "plain_http"
    assert AuthCase(listed=True, networks=("198.51.100.0/24",)).keyless_rejection() == "wrong_network"
    assert AuthCase(listed=True, active=False, rejection_code="suspended").keyless_rejection() == "suspended"


@pytest.mark.parametrize("tls", [True, False])
def test_customers_of_the_test_service_are_refused_while_it_is_off(settings: Settings, tls: bool) -> None:
    case = AuthCase(trial=True, tls=tls)
    assert case.rejection(Request(f"/t/{KEY}")) == "test_service_off"
    assert case.customer_of(Request(f"/t/{OTHER[0]}")) == 2
    settings.TEST_SERVICE = True
    assert case.customer_of(Request(f"/t/{KEY}")) == 1


def test_before_anything_is_known_nobody_is_told_that_a_key_is_missing() -> None:
    with pytest.raises(CallerRejected) as raised:
        KeyAuthentication(Directory()).authenticate(Request())
    assert raised.value.code == "not_ready"


def test_an_unknown_caller_is_counted_by_the_network_of_the_client(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = network.networks(["10.0.0.0/8"])
    keyless = Keyless(Directory())
    assert keyless.rate_limit_network(Request(peer=CLIENT)) == "203.0.113.0/24"
    assert (
        keyless.rate_limit_network(Request(peer="10.0.0.1:1", x_forwarded_for="1.2.3.4, 198.51.100.7"))
        == "198.51.100.0/24"
    )


def test_a_wrong_key_costs_no_query() -> None:
    # Without a mark for the database any query fails a test.
    assert AuthCase().rejection(Request(f"/t/{keys.new_key(HASH_KEY)[0]}")) == "unknown_key"
