"""Each file of Apple and Google is understood, or refused with a sentence that says why."""

import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tenants.problem import ProblemError
from tenants.providers import apple_certificate, apple_files, google_files, pem
from tests.tenants import files
from tests.tenants.files import NOW

SHORT_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - the point of it
IDS = {"key_id": "ABC123DEFG", "team_id": "TEAM123456"}


def test_a_token_key_is_kept_with_its_ids() -> None:
    data = files.p8()
    parsed = apple_files.apple_key(data, **IDS)
    assert parsed.kind == "apns_key"
    assert parsed.secret == {"key_pem": data.decode(), **IDS}
    assert parsed.key_id == "TEAM123456/ABC123DEFG"
    assert parsed.expires_at is None


def test_windows_line_ends_and_text_around_the_key_do_not_matter() -> None:
    data = files.p8()
    parsed = apple_files.apple_key(b"\xef\xbb\xbfMy key\r\n" + data.replace(b"\n", b"\r\n"), **IDS)
    assert parsed.secret["key_pem"] == data.decode()


@pytest.mark.parametrize(
    ("data", "ids", "message"),
    [
        (b"", {}, "empty"),
        (b"x" * 100_001, {}, "larger than 100 KB"),
        (b"hello", {}, "should hold a private key"),
        (b"\x30\x82\x00\xff", {}, "should hold a private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", {}, "damaged"),
        (files.pem(ec.generate_private_key(ec.SECP256R1()), b"pw"), {}, "is encrypted"),
        (files.pem(files.RSA_KEY), {}, "no elliptic-curve one"),
        (files.p8(ec.SECP384R1()), {}, "curve secp384r1"),
        (files.certificate_pem(), {}, "holds a certificate"),
        (files.p8() + files.p8(), {}, "2 private keys"),
        (files.p8(), {"key_id": "abc"}, "key id must be 10"),
        (files.p8(), {"key_id": "ABC123DEFG\n"}, "key id must be 10"),
        (files.p8(), {"team_id": "Team123456"}, "team id must be 10"),
        (files.p8(), {"team_id": ""}, "team id must be 10"),
        (files.p8(), {"team_id": "ABC123DEFG"}, "the same"),
    ],
)
def test_a_bad_token_key_is_refused(data: bytes, ids: dict[str, str], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        apple_files.apple_key(data, **{**IDS, **ids})


@pytest.mark.parametrize("form", ["PKCS8", "TraditionalOpenSSL"])
def test_a_certificate_is_kept_with_its_key_and_what_it_is_for(form: str) -> None:
    made = files.certificate(files.RSA_KEY, topics=files.topics("com.example.app", "com.example.app.voip"))
    parsed = apple_files.apple_certificate_pem(
        files.certificate_pem(made, files.pem(files.RSA_KEY, form=form)), now=NOW
    )
    assert parsed.kind == "apns_cert"
    assert parsed.secret["key_pem"] == files.pem(files.RSA_KEY).decode()
    assert parsed.secret["cert_pem"].startswith("-----BEGIN CERTIFICATE-----")
    assert parsed.topics == {"com.example.app", "com.example.app.voip"}
    assert parsed.hosts == {"production", "sandbox"}
    assert parsed.expires_at == NOW + timedelta(days=300)
    assert parsed.key_id == "abcdef"


def test_the_keys_own_certificate_comes_first_in_a_chain() -> None:
    other = files.certificate(rsa.generate_private_key(public_exponent=65537, key_size=2048), uid="com.other")
    mine = files.certificate()
    data = files.certificate_pem(other, b"") + files.certificate_pem(mine)
    parsed = apple_files.apple_certificate_pem(data, now=NOW)
    assert parsed.secret["cert_pem"].count("BEGIN CERTIFICATE") == 2
    assert parsed.topics == {"com.example.app"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (files.p8(), "holds no certificate"),
        (files.certificate_pem(None, b""), "should hold a private key"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "cannot be read"),
        (files.certificate_pem(None, files.p8()), "does not belong"),
        (files.certificate_pem(None, files.pem(files.RSA_KEY, b"pw")), "is encrypted"),
        (files.certificate_pem(files.certificate(until=timedelta(days=-1))), "expired on 2026-05-31"),
        (files.certificate_pem(files.certificate(since=timedelta(days=1))), "not valid before 2026-06-02"),
        (files.certificate_pem(files.certificate(uid="", name="somebody")), "names no app"),
        (
            files.certificate_pem(files.certificate(uid="com.example.app.voip", name="VoIP Services: com.example.app")),
            "for calls alone",
        ),
        (files.certificate_pem(files.certificate(uid="com.example.app.voip", name="somebody")), "for calls alone"),
        (b"x" * 100_001, "larger than 100 KB"),
    ],
)
def test_a_bad_certificate_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        apple_files.apple_certificate_pem(data, now=NOW)


@pytest.mark.parametrize("hosts", ["1", "2", ""])
def test_a_certificate_for_one_host_says_so(hosts: str) -> None:
    expected = {"1": {"sandbox"}, "2": {"production"}, "": set()}[hosts]
    parsed = apple_files.apple_certificate_pem(files.certificate_pem(files.certificate(hosts=hosts)), now=NOW)
    assert parsed.hosts == expected


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\xff", b"\x0c\x85\xff\xff\xff\xff\xff", b"\x30\x80" * 5000])
def test_a_malformed_topic_list_is_read_as_none(der: bytes) -> None:
    message = apple_certificate.read(files.certificate(topics=der or b"\x00"))
    assert message.topics == {"com.example.app"}


@pytest.mark.parametrize("password", ["pw", ""])
def test_a_p12_file_is_read_like_its_certificate(password: str) -> None:
    parsed = apple_files.apple_certificate_p12(files.p12(password.encode()), password=password, now=NOW)
    assert parsed.kind == "apns_cert"
    assert parsed.topics == {"com.example.app"}


def test_an_encrypted_pem_key_opens_with_its_password() -> None:
    data = files.certificate_pem(None, files.pem(files.RSA_KEY, b"pw"))
    assert (
        apple_files.apple_certificate_pem(data, password="pw", now=NOW)
        .secret["key_pem"]
        .startswith("-----BEGIN PRIVATE KEY-----")
    )
    with pytest.raises(ProblemError, match="is the password right"):
        apple_files.apple_certificate_pem(data, password="wrong", now=NOW)


@pytest.mark.parametrize(
    ("data", "password", "message"),
    [
        (files.p12(b"pw"), "wrong", "is the password right"),
        (files.p12(b"pw"), "", "is the password right"),
        (b"not a p12", "", "is it one"),
        (b"x" * 100_001, "", "larger than 100 KB"),
        (files.p12(b"pw", made=files.certificate(until=timedelta(days=-1))), "pw", "expired"),
    ],
)
def test_a_bad_p12_file_is_refused(data: bytes, password: str, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        apple_files.apple_certificate_p12(data, password=password, now=NOW)


@pytest.mark.parametrize("before", [b"", files.certificate_pem()], ids=["alone", "behind a good certificate"])
def test_a_file_of_many_beginnings_is_refused_after_a_dozen(before: bytes) -> None:
    hostile = before + b"-----BEGIN A-----" * 5_000
    for read in (apple_files.apple_certificate_pem, pem.block_names):
        with pytest.raises(ProblemError, match="more than 12 PEM blocks"):
            read(hostile)


@pytest.mark.parametrize(
    ("data", "labels"),
    [
        (b"-----BEGIN A-----x-----END A----- -----BEGIN B-----y-----END B-----", [b"A", b"B"]),
        (b"-----BEGIN A-----x-----END B-----", []),
        (b"-----BEGIN A-----cut off -----BEGIN B-----y-----END B-----", [b"B"]),
        (b"-----END A----------BEGIN A-----x", []),
        (b"-----BEGIN A-----x-----END A----------END A-----", [b"A"]),
    ],
)
def test_a_pem_block_ends_with_its_own_label(data: bytes, labels: list[bytes]) -> None:
    found = pem.blocks(data)
    assert [label for label, _ in found] == labels
    assert all(block in data and block.endswith(b"-----END %b-----" % label) for label, block in found)


def test_a_service_account_is_kept_without_what_is_not_needed() -> None:
    parsed = google_files.service_account(files.account())
    kept = json.loads(parsed.secret["account_json"])
    assert parsed.kind == "fcm_account"
    assert parsed.key_id == "demo-project/0123456789ab"
    assert set(kept) == {"type", "project_id", "private_key_id", "private_key", "client_email", "token_uri"}
    assert kept["private_key"] == files.pem(files.RSA_KEY).decode()


def test_a_token_uri_is_googles_or_the_one_of_the_settings() -> None:
    old = files.account(token_uri="https://accounts.google.com/o/oauth2/token")
    assert google_files.service_account(old)
    own = files.account(token_uri="https://localhost:1/token")
    assert google_files.service_account(own, token_uris=("https://localhost:1/token",))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"not json", "not the JSON"),
        (b"[]", "not the JSON"),
        (b"\xff\xfe", "not the JSON"),
        (files.account(private_key=7), "not the JSON"),
        (b'{"project_info": {"project_id": "x"}}', "google-services.json"),
        (b"{}", "not a service account"),
        (files.account(type="authorized_user"), "not a service account"),
        (files.account(project_id=None), "no project_id"),
        (files.account(private_key=""), "no private_key"),
        (files.account(client_email=None), "no client_email"),
        (files.account(token_uri=None), "no token_uri"),
        (files.account(project_id="../x"), "project_id has not the form"),
        (files.account(client_email="nobody"), "not an address"),
        (files.account(universe_domain="example.com"), "another cloud"),
        (files.account(token_uri="https://evil.example/token"), "token_uri is not Google's"),
        (files.account(token_uri="https://oauth2.googleapis.com/token?x=1"), "token_uri is not Google's"),
        (files.account(private_key="x"), "should hold a private key"),
        (files.account(private_key=files.p8().decode()), "no RSA key"),
        (files.account(private_key=files.pem(SHORT_KEY).decode()), "1024 bits"),
        (files.account(padding="x" * 100_000), "larger than 100 KB"),
    ],
)
def test_a_bad_service_account_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        google_files.service_account(data)
