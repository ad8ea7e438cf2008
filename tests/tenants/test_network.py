"""Whose word about an address and a scheme counts, read from the right, whatever a stranger writes beside it."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants import network
from tenants.network import TrustedProxies
from tests.tenants.push_request import Request

PROXIES = network.networks(["10.0.0.0/8", "fd00::/8"])
PROXY, CLIENT, OTHER = "10.0.0.1:40000", "203.0.113.9", "198.51.100.7"
BEHIND = TrustedProxies(PROXIES)
ALONE = TrustedProxies()
LOCAL = TrustedProxies(network.networks(["127.0.0.0/8"]))


def client(*lines: str, proxies: TrustedProxies = BEHIND, peer: str = PROXY) -> str:
    """Whom a request with these X-Forwarded-For lines is from, "" for nobody known."""
    headers = {"x_forwarded_for": list(lines)} if lines else {}
    found = proxies.client(Request(peer=peer, **headers))  # type: ignore[arg-type]
    return str(found or "")


# --- Whose request it is


@pytest.mark.parametrize("peer", [f"{CLIENT}:4711", f"[::ffff:{CLIENT}]:4711", CLIENT])
def test_without_a_trusted_proxy_the_client_is_the_peer_whatever_the_headers_say(peer: str) -> None:
    assert client(OTHER, proxies=ALONE, peer=peer) == CLIENT
    assert client(OTHER, proxies=BEHIND, peer=peer) == CLIENT


@pytest.mark.parametrize("peer", ["", "unix:/run/hpns", ":", "nonsense:1", "[::1"])
def test_a_peer_without_an_address_is_nobody(peer: str) -> None:
    assert client(proxies=ALONE, peer=peer) in ("", "::1")
    assert not ALONE.accepts_keys(Request(scheme="http", peer="unix:/run/hpns"))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((CLIENT,), CLIENT),
        ((f"{OTHER}, {CLIENT}",), CLIENT),
        ((f"{OTHER},{CLIENT},10.0.0.2",), CLIENT),
        ((f"{OTHER} , {CLIENT} , 10.0.0.2 , 10.9.9.9",), CLIENT),
        ((f"{CLIENT}:4711",), CLIENT),
        ((f"::ffff:{CLIENT}",), CLIENT),
        (("2001:db8::7",), "2001:db8::7"),
        (("[2001:db8::7]",), "2001:db8::7"),
        (("[2001:db8::7]:4711",), "2001:db8::7"),
        (("fe80::7%eth0",), "fe80::7"),
        ((f"{OTHER}, 10.0.0.3",), OTHER),
        (("10.0.0.3, fd00::1",), "10.0.0.3"),
    ],
)
def test_the_first_address_from_the_right_that_is_no_trusted_proxy_is_the_client(
    lines: tuple[str, ...], expected: str
) -> None:
    assert client(*lines) == expected


def test_a_proxy_that_adds_a_line_of_its_own_is_read_before_the_lines_that_came_with_the_request() -> None:
    assert client(OTHER, CLIENT) == CLIENT
    assert client(f"{OTHER}, {OTHER}", OTHER, f"{CLIENT}, 10.0.0.2") == CLIENT


@pytest.mark.parametrize(
    "entry",
    [
        "unknown",
        "_hidden",
        "",
        " ",
        "203.0.113",
        "203.0.113.9.9",
        "999.1.1.1",
        "1.2.3.4:5:6",
        "[",
        "]",
        "[]",
        "%",
        "a%b",
    ],
)
def test_an_entry_of_the_nearest_proxy_that_is_no_address_makes_the_client_unknown(entry: str) -> None:
    assert client(f"{CLIENT}, {entry}") == ""
    assert client(entry) == ""


@pytest.mark.parametrize("line", ["é", f"é, {CLIENT}", "٢٠٣.0.113.9", "\x00\xff"])
def test_a_line_that_cannot_be_read_is_not_taken_for_an_absent_one(line: str) -> None:
    assert client(line) == ""
    assert client(line, peer="127.0.0.1:1", proxies=LOCAL) == ""
    assert not LOCAL.accepts_keys(Request(scheme="http", peer="127.0.0.1:1", x_forwarded_for=line))


def test_digits_of_another_alphabet_are_no_address() -> None:
    assert network.address("٢٠٣.0.113.9") is None
    assert network.address("１.2.3.4") is None


def test_a_chain_of_ten_thousand_trusted_entries_is_not_walked_and_gives_nobody() -> None:
    before = network.is_inside.cache_info().misses
    assert client(", ".join(f"10.{n // 250}.{n % 250}.1" for n in range(10_000))) == ""
    assert network.is_inside.cache_info().misses - before <= network.HOPS_MAX + 1
    assert client("x," * 10_000 + CLIENT) == CLIENT


def test_a_chain_as_long_as_is_allowed_is_read_to_its_end() -> None:
    assert client(", ".join([CLIENT, *["10.0.0.2"] * (network.HOPS_MAX - 1)])) == CLIENT


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters=",")), max_size=5))
def test_what_a_stranger_writes_to_the_left_changes_nothing(entries: list[str]) -> None:
    assert client(",".join([*entries, f" {CLIENT}"])) == CLIENT


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_none(text: str) -> None:
    found = network.address(text)
    assert found is None or ipaddress.ip_address(str(found)) == found


def test_without_a_word_of_the_proxy_the_client_is_the_proxy() -> None:
    assert client() == "10.0.0.1"


# --- Whether it came encrypted


@pytest.mark.parametrize(
    ("proto", "encrypted"),
    [
        ("https", True),
        ("HTTPS", True),
        (" https ,https", True),
        (["https", "https"], True),
        ("http", False),
        ("https, http", False),
        (["https", "http"], False),
        ("", False),
        (",", False),
        ("https,", False),
        ("httpsx", False),
        ("é", False),
        (None, False),
    ],
)
def test_a_trusted_proxy_is_believed_when_all_it_says_is_https(proto: str | list[str] | None, encrypted: bool) -> None:
    headers = {} if proto is None else {"x_forwarded_proto": proto}
    request = Request(scheme="http", peer=PROXY, x_forwarded_for=CLIENT, **headers)
    assert BEHIND.is_encrypted(request) is encrypted
    assert BEHIND.accepts_keys(request) is encrypted


@pytest.mark.parametrize("proxies", [ALONE, BEHIND])
def test_nobody_else_is_believed_about_https(proxies: TrustedProxies) -> None:
    request = Request(scheme="http", peer=f"{CLIENT}:1", x_forwarded_proto="https", x_forwarded_for="127.0.0.1")
    assert not proxies.is_encrypted(request)
    assert not proxies.accepts_keys(request)


def test_our_own_tls_needs_no_proxy() -> None:
    assert ALONE.accepts_keys(Request(scheme="https"))
    assert BEHIND.accepts_keys(Request(scheme="https", x_forwarded_proto="http"))


# --- From where a key may come in the clear


@pytest.mark.parametrize("peer", ["127.0.0.1:9", "127.9.9.9:9", "[::1]:9", "[::ffff:127.0.0.1]:9"])
def test_this_machine_may_send_its_keys_in_the_clear(peer: str) -> None:
    for proxies in (ALONE, BEHIND):
        for _ in range(2):
            assert proxies.accepts_keys(Request(scheme="http", peer=peer))


@pytest.mark.parametrize("header", ["x_forwarded_for", "x_forwarded_proto"])
@pytest.mark.parametrize("proxies", [ALONE, BEHIND])
def test_what_an_unknown_proxy_on_this_machine_brings_is_not_from_this_machine(
    proxies: TrustedProxies, header: str
) -> None:
    peer = "127.0.0.1:9"
    assert proxies.accepts_keys(Request(scheme="http", peer=peer))
    assert not proxies.accepts_keys(Request(scheme="http", peer=peer, **{header: "127.0.0.1"}))
    assert proxies.accepts_keys(Request(scheme="http", peer=peer))


def test_a_trusted_proxy_on_this_machine_has_to_say_whose_request_it_brings() -> None:
    peer = "127.0.0.1:9"
    assert LOCAL.accepts_keys(Request(scheme="http", peer=peer))
    assert not LOCAL.accepts_keys(Request(scheme="http", peer=peer, x_forwarded_proto="http"))
    assert not LOCAL.accepts_keys(Request(scheme="http", peer=peer, x_forwarded_for=CLIENT))
    assert LOCAL.accepts_keys(Request(scheme="http", peer=peer, x_forwarded_for="127.0.0.1", x_forwarded_proto="http"))


def test_an_allowed_network_may_send_its_keys_in_the_clear_and_its_neighbours_may_not() -> None:
    proxies = TrustedProxies((), network.networks(["192.168.0.0/16"]))
    assert proxies.accepts_keys(Request(scheme="http", peer="192.168.7.7:1"))
    assert proxies.accepts_keys(Request(scheme="http", peer="192.168.7.7:1", x_forwarded_for="192.168.1.1"))
    assert not proxies.accepts_keys(Request(scheme="http", peer="192.169.0.1:1"))


def test_a_client_behind_a_trusted_proxy_is_judged_by_its_own_address() -> None:
    proxies = TrustedProxies(PROXIES, network.networks(["192.168.0.0/16", "10.0.0.0/8"]))
    assert proxies.accepts_keys(Request(scheme="http", peer=PROXY, x_forwarded_for="192.168.1.1"))
    assert not proxies.accepts_keys(Request(scheme="http", peer=PROXY, x_forwarded_for=f"192.168.1.1, {CLIENT}"))


def test_connections_that_are_remembered_do_not_fill_the_memory() -> None:
    proxies = TrustedProxies()
    for port in range(network.PEERS_CACHED_MAX + 10):
        proxies.accepts_keys(Request(scheme="http", peer=f"{CLIENT}:{port}"))
    assert len(proxies._peers) <= network.PEERS_CACHED_MAX


# --- Networks


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "10.0.0.0/33", "office", "", "10.0.0.0/8 ,", "*", "٢٠٣.0.113.9"])
def test_what_is_no_network_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="is no network such as"):
        network.networks([entry])


def test_single_addresses_are_networks_of_their_own() -> None:
    assert [str(each) for each in network.networks([" 192.0.2.7", "2001:db8::1"])] == [
        "192.0.2.7/32",
        "2001:db8::1/128",
    ]


@pytest.mark.parametrize(
    ("entry", "meant"),
    [
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::FFFF:c000:0200/120", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ],
)
def test_a_network_of_ipv4_in_ipv6_is_the_one_of_ipv4_that_it_means(entry: str, meant: str) -> None:
    (found,) = network.networks([entry])
    assert str(found) == meant
    assert network.is_inside(network.address("::ffff:192.0.2.7"), (found,))


@pytest.mark.parametrize("entry", ["::ffff:192.0.2.0/24", "::ffff:192.0.2.0/95", "::ffff:0:0/0"])
def test_ipv4_in_ipv6_with_the_length_of_ipv4_is_refused_with_what_to_write(entry: str) -> None:
    with pytest.raises(ValueError, match="the length must be 96 or more: write it as IPv4"):
        network.networks([entry])


@pytest.mark.parametrize("entry", ["::ffff:192.0.2.1/120", "::ffff:192.0.2.0/129", "::ffff:192.0.2.0/x"])
def test_what_is_no_network_of_ipv4_in_ipv6_is_named_as_any_other(entry: str) -> None:
    with pytest.raises(ValueError, match="is no network such as"):
        network.networks([entry])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.9", "203.0.113.0/24"),
        ("::ffff:203.0.113.9", "203.0.113.0/24"),
        ("2001:db8:0:12ff::7", "2001:db8:0:1200::/56"),
        ("fe80::7%eth0", "fe80::/56"),
    ],
)
def test_a_stranger_is_counted_by_its_network(text: str, expected: str) -> None:
    assert network.rate_limit_network(network.address(text)) == expected


def test_strangers_without_an_address_share_one_network() -> None:
    assert network.rate_limit_network(None) == "unknown"
