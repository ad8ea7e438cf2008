"""A site is asked under guard, whatever it and its name do; and what it answers is held against where it was asked."""

import json
import time
from collections.abc import Sequence

import pytest
from pytest_django import Settings

from hpns.local.mattermost_site import Site
from tenants import network
from tenants.problem import ProblemError
from tenants.proofs import documents, fetching
from tenants.proofs.documents import Address, Documents


def fetch(site: Site, *addresses: str, seconds: float = 5, path: str = "", host: str = "localhost") -> Documents:
    resolve = (lambda host, port: addresses) if addresses else None
    return fetching.fetch(Address(host, site.server_address[1], path), resolve=resolve, seconds=seconds)


def problem(site: Site, *addresses: str, **more: object) -> str:
    with pytest.raises(ProblemError) as raised:
        fetch(site, *addresses, **more)  # type: ignore[arg-type]
    return str(raised.value)


def test_a_site_says_its_server_id_its_key_and_its_licence(site: Site) -> None:
    found = fetch(site)
    assert (found.mattermost_id, found.public_key) == (site.installation.diagnostic_id, site.installation.public_key)
    assert (found.sku, found.company, found.users) == ("professional", "Demo Company", 250)
    assert found.licensed
    assert not found.trial
    assert site.asked == [documents.CONFIG_PATH, documents.LICENCE_PATH]


def test_a_site_below_a_path_is_asked_there(site: Site) -> None:
    fetch(site, path="/chat")
    assert all(asked.startswith("/chat/api/v4/") for asked in site.asked)


def test_a_redirect_at_the_same_host_is_followed(site: Site) -> None:
    site.behaviour = "wanders"
    assert fetch(site).mattermost_id == site.installation.diagnostic_id


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://127.0.0.1:{port}/api/v4/config/client",
        "http://localhost:{port}/",
        "https://localhost/",
        "//example.com/x",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "https://localhost:99999/",
    ],
)
def test_a_redirect_off_the_host_is_not_followed(site: Site, elsewhere: str) -> None:
    site.behaviour, site.elsewhere = "redirects", elsewhere.format(port=site.server_address[1])
    assert "redirects to another host" in problem(site)
    assert len(site.asked) == 1


def test_a_redirect_to_the_host_without_a_path_is_one_to_its_root(site: Site) -> None:
    site.behaviour, site.elsewhere = "redirects", f"https://localhost:{site.server_address[1]}"
    assert "redirects more than" in problem(site)
    assert site.asked[1:] == ["/", "/", "/"]


def test_a_redirect_in_a_circle_ends(site: Site) -> None:
    site.behaviour, site.elsewhere = "redirects", "/again"
    assert "redirects more than" in problem(site)


def test_a_site_that_answers_with_ten_megabytes_is_left_early(site: Site) -> None:
    site.behaviour = "huge"
    assert "more than 256 KB" in problem(site)


@pytest.mark.parametrize("behaviour", ["slow", "drips"])
def test_a_site_that_takes_its_time_is_given_up_in_time(site: Site, behaviour: str) -> None:
    site.behaviour = behaviour
    began = time.monotonic()
    assert "did not answer within" in problem(site, seconds=1)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    ("behaviour", "why"), [("fails", "the status 503"), ("html", "no JSON"), ("closes", "cannot be reached")]
)
def test_what_is_wrong_with_an_answer_is_said(site: Site, behaviour: str, why: str) -> None:
    site.behaviour = behaviour
    assert why in problem(site)


@pytest.mark.parametrize("url", ["https://example.com", "https://localhost:1", "", "https://", "x", "https://[::1"])
def test_a_site_whose_site_url_is_another_hosts_is_not_believed(site: Site, url: str) -> None:
    site.url = url or " "
    assert "SiteURL" in problem(site)


def test_a_name_that_changes_its_mind_is_asked_once_and_the_connection_goes_where_was_looked(
    site: Site, settings: Settings
) -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.9"]])
    asked: list[str] = []

    def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    fetching.fetch(Address("localhost", site.server_address[1], ""), resolve=resolve)
    assert asked == ["localhost"]


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),  # noqa: S104
        *("::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
        *("224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "ff02::1", "2001:db8::1", "::", "198.18.0.1"),
        *("2001:0:7f00:1::", "x", "", "127.0.0.1%eth0", "fe80::1%1", "fec0::1", "::7f00:1", "4000::1", "5f00::1"),
    ],
)
def test_no_address_but_a_public_one_is_asked(site: Site, settings: Settings, address: str) -> None:
    settings.SITE_PRIVATE_NETWORKS = ()
    assert not fetching.is_allowed(address)
    assert "no public address" in problem(site, address)
    assert not site.asked


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_asked(settings: Settings, address: str) -> None:
    settings.SITE_PRIVATE_NETWORKS = ()
    assert fetching.is_allowed(address)


def test_private_ones_are_asked_where_the_operator_says_so(settings: Settings) -> None:
    settings.SITE_PRIVATE_NETWORKS = network.networks(["10.1.0.0/16"])
    assert fetching.is_allowed("10.1.2.3")
    assert not fetching.is_allowed("10.2.0.1")


def test_of_a_name_with_public_and_private_addresses_the_public_ones_alone_are_asked(settings: Settings) -> None:
    settings.SITE_PRIVATE_NETWORKS = ()
    assert fetching.allowed(["10.0.0.1", "8.8.8.8", "::1"], Address("x", 443, "")) == ["8.8.8.8"]


def test_a_certificate_of_nobody_we_trust_is_not_taken(site: Site, settings: Settings) -> None:
    settings.SITE_CA_FILE = ""
    assert "certificate of localhost" in problem(site)


def test_a_certificate_of_another_name_is_not_taken(site: Site) -> None:
    assert "certificate of other.example" in problem(site, "127.0.0.1", host="other.example")


def test_a_proxy_of_the_environment_is_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    assert fetch(site).mattermost_id


def test_a_name_that_nobody_knows_is_said_to_be_unknown(site: Site) -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("unknown")

    with pytest.raises(ProblemError, match="is not known"):
        fetching.fetch(Address("localhost", 443, ""), resolve=unknown)


def test_a_resolver_that_hangs_holds_nobody_up(site: Site) -> None:
    def hang(host: str, port: int) -> Sequence[str]:
        time.sleep(3)
        return ()

    with pytest.raises(ProblemError, match="did not answer"):
        fetching.fetch(Address("localhost", 443, ""), resolve=hang, seconds=0.2)


# --- Addresses and documents


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("chat.example.com", ("chat.example.com", 443, "")),
        (" https://Chat.Example.com/ ", ("chat.example.com", 443, "")),
        ("https://chat.example.com:8443/mm/", ("chat.example.com", 8443, "/mm")),
        ("bücher.example", ("xn--bcher-kva.example", 443, "")),
        ("https://[2606:4700::1]/", ("2606:4700::1", 443, "")),
    ],
)
def test_an_address_is_taken_as_people_write_it(text: str, address: tuple[str, int, str]) -> None:
    assert documents.address(text) == Address(*address)
    assert documents.address(documents.address(text).text) == Address(*address)


@pytest.mark.parametrize(
    "text",
    [
        *("", "http://chat.example.com", "https://", "https://a b", "https://u:p@chat.example.com", "https://x/?a=b"),
        *("https://x:22", "https://x:25/", "https://x:0", "https://x:99999", "file:///etc/passwd", "gopher://x"),
        *(
            "https://x/\r\nHost: y",
            "https://x/é",
            "https://" + "a" * 300,
            f"https://{'a.' * 100}com/{'b' * 150}",
            "https://x..y" + "." * 200,
            "https://x\\@y",
        ),
    ],
)
def test_what_is_no_address_of_a_site_is_refused(text: str) -> None:
    with pytest.raises(ProblemError):
        documents.address(text)


def test_a_strangers_text_is_kept_on_one_line(site: Site) -> None:
    site.installation.licence["Company"] = "A\r\nBcc: b\u2028" + "x" * 1_000
    found = fetch(site)
    assert found.company.isprintable()
    assert len(found.company) <= 200


@pytest.mark.parametrize("users", ["-1", "x", "", "99999999999", "1e3", "１２"])
def test_seats_that_are_no_number_are_not_said(site: Site, users: str) -> None:
    site.installation.licence["Users"] = users
    assert fetch(site).users is None


@pytest.mark.parametrize("licence", [None, "{}", '{"IsLicensed":"false"}', '{"IsLicensed":true}'])
def test_without_a_licence_there_is_no_company(site: Site, licence: str | None) -> None:
    found = documents.read(json.dumps(site.installation.config(site.url)), licence)
    assert (found.licensed, found.company, found.users) == (False, "", None)


@pytest.mark.parametrize(
    "document",
    [
        *("", "[]", "null", "x", "{", "[" * 100_000, '"a"', "{}", '{"DiagnosticId":"a"}'),
        '{"DiagnosticId":"a","AsymmetricSigningPublicKey":"AAAA"}',
        '{"DiagnosticId":["a"],"AsymmetricSigningPublicKey":5}',
        '{"DiagnosticId":"a b","AsymmetricSigningPublicKey":"AAAA"}',
        "x" * 300_000,
    ],
)
def test_what_is_no_configuration_of_a_mattermost_server_is_refused(document: str) -> None:
    with pytest.raises(ProblemError):
        documents.read(document, None)
