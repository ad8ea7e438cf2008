"""Who is let in, and what everybody else is told."""

import base64
import hmac
from collections.abc import Callable

import msgspec
import pytest
from pytest_django import Settings

from tenants import authentication, keys
from tenants.authentication import CallerRejected, KeyAuthentication
from tenants.directory.live import Directory
from tenants.directory.snapshot import Identity, Snapshot
from tests.tenants.push_request import Request

HASH_KEY = b"h" * 32
NOW = 1_000_000.0


class AuthCase:
    """A directory with the keys of Ada (customer 1) and Ben (customer 2) and one key for each refusal."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}
        known: dict[str, Identity] = {}
        for number, (name, rejection_code, expires_at) in enumerate(
            [
                ("ada", "", 0.0),
                ("ben", "", 0.0),
                ("revoked", "revoked_key", 0.0),
                ("suspended", "suspended", 0.0),
                ("disabled", "disabled_server", 0.0),
                ("expired", "", NOW - 1),
                ("expiring", "", NOW + 1),
            ],
            1,
        ):
            text, prefix, digest = keys.new_key(HASH_KEY)
            self.keys[name] = text
            known[prefix] = Identity(number, number, number, not rejection_code, rejection_code, digest, expires_at)
        self.known = known
        self.directory = Directory()
        self.directory.install(Snapshot(1, 1.0, known, [], []), "postgres")
        self.now = NOW
        self._authentication = KeyAuthentication(self.directory, clock=lambda: self.now)

    def customer_of(self, request: Request) -> int:
        return self._authentication.authenticate(request)[0].customer_id

    def rejection(self, request: Request) -> str:
        with pytest.raises(CallerRejected) as raised:
            self._authentication.authenticate(request)
        assert str(raised.value.detail) == raised.value.cause
        return raised.value.code


@pytest.fixture
def case(settings: Settings) -> AuthCase:
    settings.HASH_KEY = HASH_KEY
    return AuthCase()


def basic(text: str | bytes) -> str:
    return "Basic " + base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


IN_PLACES: list[Callable[[str], Request]] = [
    lambda key: Request(f"/t/{key}/api/v1/send_push"),
    lambda key: Request(f"/t/{key}"),
    lambda key: Request(f"/t/{key.replace('_', '%5F')}/version"),
    lambda key: Request(authorization=basic(f"user:{key}")),
    lambda key: Request(authorization=basic(f":{key}")),
    lambda key: Request(authorization=basic(f"{key}:")),
    lambda key: Request(authorization=basic(f"{key}:").replace("Basic", "bAsIc")),
]


@pytest.mark.parametrize("place", IN_PLACES)
def test_a_key_is_found_in_each_place_and_speaks_for_its_customer(
    case: AuthCase, place: Callable[[str], Request]
) -> None:
    assert case.customer_of(place(case.keys["ada"])) == 1
    assert case.customer_of(place(case.keys["ben"])) == 2


@pytest.mark.parametrize("place", IN_PLACES)
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("revoked", "revoked_key"),
        ("suspended", "suspended"),
        ("disabled", "disabled_server"),
        ("expired", "expired_key"),
    ],
)
def test_a_key_that_no_longer_counts_is_told_why(
    case: AuthCase, place: Callable[[str], Request], name: str, code: str
) -> None:
    assert case.rejection(place(case.keys[name])) == code


def next_on_its_connection(before: Request, path: str, authorization: str | None = None, **headers: str) -> Request:
    after = Request(path, authorization, **headers)
    after.known_key = before.known_key
    return after


@pytest.mark.parametrize("place", IN_PLACES)
@pytest.mark.parametrize("other", IN_PLACES)
def test_each_request_of_a_connection_is_judged_by_its_own_key(
    case: AuthCase, place: Callable[[str], Request], other: Callable[[str], Request]
) -> None:
    ada, ben = place(case.keys["ada"]), other(case.keys["ben"])
    assert case.customer_of(ada) == 1
    ben.known_key = ada.known_key
    assert case.customer_of(ben) == 2
    wrong = place(case.keys["ben"][:-3] + "...")
    wrong.known_key = ada.known_key
    assert case.rejection(wrong) == "unknown_key"
    assert case.rejection(next_on_its_connection(ada, "/api/v1/send_push")) == "no_key"
    assert case.customer_of(ada) == 1
    assert case.customer_of(ben) == 2


def test_a_second_key_beside_that_of_a_connection_is_noticed(case: AuthCase) -> None:
    path = f"/t/{case.keys['ada']}/api/v1/send_push"
    first = Request(path)
    assert case.customer_of(first) == 1
    both = next_on_its_connection(first, path, basic(f":{case.keys['ben']}"))
    assert case.rejection(both) == "two_keys"
    assert case.customer_of(next_on_its_connection(both, path, "Bearer of-a-proxy")) == 1


def test_a_key_in_a_header_of_its_own_is_not_taken_for_that_of_the_next_request(case: AuthCase) -> None:
    pair = {"x_mattermost_auth": case.keys["ada"], "x_mattermost_serverid": "b" * 26}
    first = Request("/api/v1/send_push", **pair)  # type: ignore[arg-type]
    assert case.customer_of(first) == 1
    assert case.rejection(next_on_its_connection(first, "/api/v1/send_push")) == "no_key"


def test_a_key_that_is_revoked_counts_no_longer_on_the_connection_that_it_came_on(case: AuthCase) -> None:
    request = Request(f"/t/{case.keys['ada']}/api/v1/send_push")
    assert case.customer_of(request) == 1
    identity = case.known[keys.prefix(case.keys["ada"])]
    revoked = msgspec.structs.replace(identity, active=False, rejection_code="revoked_key")
    case.directory.install(Snapshot(2, 2.0, {keys.prefix(case.keys["ada"]): revoked}, [], []), "postgres")
    assert case.rejection(request) == "revoked_key"
    case.directory.install(Snapshot(3, 3.0, {}, [], []), "postgres")
    assert case.rejection(request) == "unknown_key"


def test_a_key_counts_until_its_last_second(case: AuthCase) -> None:
    request = Request(f"/t/{case.keys['expiring']}/")
    for second in (0.0, 0.9):
        case.now = NOW + second
        assert case.customer_of(request) == 7
    case.now = NOW + 1.0
    assert case.rejection(request) == "expired_key"


@pytest.mark.parametrize("name", ["ada", "revoked", "suspended", "expired"])
def test_a_wrong_secret_is_told_nothing_about_the_key(case: AuthCase, name: str) -> None:
    key = case.keys[name]
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    assert case.rejection(Request(f"/t/{wrong}/api/v1/send_push")) == "unknown_key"


def test_one_customers_prefix_with_anothers_secret_is_unknown(case: AuthCase) -> None:
    mixed = case.keys["ada"][:12] + case.keys["ben"][12:]
    assert keys.parse(mixed) is not None
    assert case.rejection(Request(f"/t/{mixed}/api/v1/send_push")) == "unknown_key"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (Request(), "no_key"),
        (Request("/t/"), "no_key"),
        (Request("/t//api/v1/send_push"), "no_key"),
        (Request("/t/api/v1/send_push"), "unknown_key"),
        (Request("/t/%00%ff%zz/api/v1/send_push"), "unknown_key"),
        (Request("/t/" + "x" * 100_000), "unknown_key"),
        (Request(authorization=""), "no_key"),
        (Request(authorization="Basic"), "no_key"),
        (Request(authorization="Basic "), "unknown_key"),
        (Request(authorization="Bearer abc"), "no_key"),
        (Request(authorization="Basic !!!!"), "unknown_key"),
        (Request(authorization="Basic YTpi=junk"), "unknown_key"),
        (Request(authorization="Basic YT\x00pi"), "unknown_key"),
        (Request(authorization="Basic é"), "unknown_key"),
        (Request(authorization="Basic \udcff"), "unknown_key"),
        (Request(authorization=basic("no colon")), "unknown_key"),
        (Request(authorization=basic(b"user:\xff\xfe")), "unknown_key"),
        (Request(authorization=basic(":")), "no_key"),
        (Request(authorization=basic("user:secret")), "unknown_key"),
        (Request(authorization=basic("u" * 100_000 + ":p")), "unknown_key"),
    ],
)
def test_a_hostile_or_empty_request_is_refused_with_its_code(case: AuthCase, request_: Request, code: str) -> None:
    assert case.rejection(request_) == code


def test_a_good_key_in_an_oversized_header_is_not_looked_for(case: AuthCase) -> None:
    assert case.rejection(Request(authorization=basic("u" * 2000 + ":" + case.keys["ada"]))) == "unknown_key"


def test_foreign_characters_in_base64_are_not_skipped(case: AuthCase) -> None:
    good = basic(f":{case.keys['ada']}")
    assert case.customer_of(Request(authorization=good)) == 1
    assert case.rejection(Request(authorization=good[:20] + "!" + good[20:])) == "unknown_key"


def test_two_keys_are_refused_whichever_is_good(case: AuthCase) -> None:
    ada, ben = case.keys["ada"], case.keys["ben"]
    assert case.rejection(Request(f"/t/{ada}/api/v1/send_push", basic(f":{ben}"))) == "two_keys"
    assert case.rejection(Request(f"/t/{ben}/api/v1/send_push", basic(f"{ada}:"))) == "two_keys"


@pytest.mark.parametrize("beside", ["Bearer x", "Basic !!", basic("user:proxy-password"), basic("u"), ""])
def test_another_header_beside_the_path_is_not_ours(case: AuthCase, beside: str) -> None:
    assert case.customer_of(Request(f"/t/{case.keys['ada']}/api/v1/send_push", beside)) == 1


def test_the_same_key_twice_is_one_key(case: AuthCase) -> None:
    key = case.keys["ada"]
    assert case.customer_of(Request(f"/t/{key}/api/v1/send_push", basic(f":{key}"))) == 1


def test_the_constant_time_comparison_decides_for_known_and_unknown_keys_alike(
    case: AuthCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []

    def compare(known: bytes, given: bytes) -> bool:
        compared.append(len(known))
        return not hmac.compare_digest(known, given)

    monkeypatch.setattr(authentication, "compare_digest", compare)
    unknown = keys.new_key(HASH_KEY)[0]
    assert case.rejection(Request(f"/t/{case.keys['ada']}")) == "unknown_key"
    assert case.rejection(Request(f"/t/{unknown}")) == "unknown_key"
    assert compared == [32, 32]


def test_before_anything_is_known_a_key_is_not_called_unknown(settings: Settings) -> None:
    settings.HASH_KEY = HASH_KEY
    text = keys.new_key(HASH_KEY)[0]
    with pytest.raises(CallerRejected) as raised:
        KeyAuthentication(Directory()).authenticate(Request(f"/t/{text}/"))
    assert raised.value.code == "not_ready"


def test_a_reason_of_a_newer_release_still_refuses(case: AuthCase) -> None:
    text, prefix, digest = keys.new_key(HASH_KEY)
    identity = Identity(9, 9, 9, False, "some_new_reason", digest)
    case.directory.install(Snapshot(2, 2.0, {prefix: identity}, [], []), "copy")
    assert case.rejection(Request(f"/t/{text}/")) == "suspended"


@pytest.mark.parametrize(
    ("name", "spoilt"),
    [
        ("revoked", lambda key: key),
        ("expired", lambda key: key),
        ("suspended", lambda key: key),
        ("ada", lambda key: key[:-1] + ("x" if key[-1] != "x" else "y")),
        ("ada", lambda key: key[:-1]),
        ("ada", lambda key: key + "x"),
        ("ada", lambda key: key[:11]),
    ],
)
def test_a_rejection_says_whose_key_it_names(case: AuthCase, name: str, spoilt: Callable[[str], str]) -> None:
    key = case.keys[name]
    with pytest.raises(CallerRejected) as raised:
        case.customer_of(Request(f"/t/{spoilt(key)}/api/v1/send_push"))
    identity = case.directory.find(key[3:11])
    assert identity is not None
    is_whole = spoilt(key) == key
    assert raised.value.whose == (identity.customer_id, identity.key_id, identity.server_id, is_whole)


def test_two_keys_are_put_down_to_the_one_in_the_path(case: AuthCase) -> None:
    with pytest.raises(CallerRejected) as raised:
        case.customer_of(Request(f"/t/{case.keys['ada']}/api", basic(f"x:{case.keys['ben']}")))
    assert raised.value.whose == (1, 1, 1, True)


@pytest.mark.parametrize("text", ["", "hk_", "hk_00000000", "hk_00000000_" + "x" * 32, "0" * 11, "hk_" + "x" * 900])
def test_a_rejection_without_the_beginning_of_a_known_key_is_nobodys(case: AuthCase, text: str) -> None:
    with pytest.raises(CallerRejected) as raised:
        case.customer_of(Request(f"/t/{text}/api/v1/send_push"))
    assert raised.value.whose is None
