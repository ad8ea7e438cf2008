"""The licence file is read as a Mattermost server reads it, and nothing of it counts unless its signature is good."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.licences.file import FILE_MAX, Issuer, Licence, LicenceFileError, read
from tests.billing.licences import making
from tests.billing.licences.making import END, ID, START, content, made, of_text


def parsed(data: bytes, *issuers: str) -> Licence:
    return read(data, [Issuer(name, making.key(name).public_key()) for name in issuers or ("first",)])


def test_a_licence_says_whose_it_is_for_how_many_and_how_long() -> None:
    licence = parsed(made())
    assert (licence.issuer, licence.id, licence.company, licence.users) == ("first", ID, "Acme GmbH", 250)
    assert (licence.issued_at, licence.starts_at, licence.expires_at) == (START, START, END)
    assert (licence.sku, licence.sku_name, licence.mhpns, licence.cloud) == (
        "professional",
        "Professional",
        True,
        False,
    )
    assert (licence.is_trial, licence.push_limit, len(licence.digest)) == (False, None, 64)


def wrapped(end: bytes) -> bytes:
    text = made()
    return end.join(text[at : at + 76] for at in range(0, len(text), 76)) + end


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"], ids=["CRLF", "LF", "CR"])
def test_line_ends_are_skipped_wherever_they_are_and_make_no_other_file(end: bytes) -> None:
    assert parsed(wrapped(end)) == parsed(made())
    assert parsed(made() + end) == parsed(made())


def test_a_signature_that_ends_in_zero_is_as_good_as_any() -> None:
    assert parsed(making.zero_ended()).id == ID


def test_the_issuer_is_the_one_whose_key_the_signature_is_good_by() -> None:
    assert parsed(made(issuer="other"), "first", "other").issuer == "other"
    with pytest.raises(LicenceFileError, match="signature of this licence is not good"):
        parsed(made(issuer="other"), "first")
    with pytest.raises(LicenceFileError, match="signature"):
        read(made(), [])


@given(st.data())
def test_no_flipped_byte_goes_unnoticed(data: st.DataObject) -> None:
    text = made()
    whole = data.draw(st.sampled_from((text, base64.b64decode(text))))
    at = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(LicenceFileError):
        parsed(bytes(flipped) if whole is text else base64.b64encode(flipped))


@pytest.mark.parametrize("spare", [1, 2])
def test_two_texts_are_never_one_file(spare: int) -> None:
    """The last letter before the padding has bits that decoders leave out: they have to be zero."""
    for number in range(3):
        text = of_text(json.dumps(content(padding="x" * number)))
        if text.endswith(b"=" * spare) and not text.endswith(b"=" * (spare + 1)):
            last = text[-spare - 1]
            alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
            twin = alphabet[alphabet.index(last) + 1]
            other = text[: -spare - 1] + bytes([twin]) + text[-spare:]
            assert base64.b64decode(other) == base64.b64decode(text)
            with pytest.raises(LicenceFileError, match="not a licence file"):
                parsed(other)
            return
    raise AssertionError("no file has this padding")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"\r\n\r\n", "empty"),
        (base64.b64encode(b"s" * 256), "too short"),
        (base64.b64encode(b"s" * 255), "too short"),
        (b'{"id": "abc"}', "not a licence file"),
        (b"QUJD=QUJD", "not a licence file"),
        (b"QUJ", "not a licence file"),
        (b"=", "not a licence file"),
        (b"\xef\xbb\xbf\xff\x00", "not a licence file"),
        (b"A" * 17 * 1024, "larger than 16 KiB"),
    ],
    ids=["nothing", "line ends", "256 bytes", "255 bytes", "JSON", "padding inside", "cut", "=", "binary", "17 KiB"],
)
def test_what_is_no_licence_file_is_said_so(data: bytes, why: str) -> None:
    with pytest.raises(LicenceFileError, match=why):
        parsed(data)


def test_nothing_is_read_of_what_is_not_signed() -> None:
    for body in (b"[" * 3000, b"{}", b'{"id": 7}'):
        with pytest.raises(LicenceFileError, match="signature of this licence is not good"):
            parsed(base64.b64encode(body + b"s" * 256))


def test_a_file_of_16_kib_is_looked_at() -> None:
    with pytest.raises(LicenceFileError, match="signature"):
        parsed(base64.b64encode(b"x" * (FILE_MAX // 4 * 3)))


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "7", '{"id": NaN}', "{} {}", "[" * 3000, '{"users":' + "9" * 5000 + "}", "\ufeff{}"]
)
def test_what_is_signed_and_no_object_of_json_is_refused(text: str) -> None:
    with pytest.raises(LicenceFileError, match=r"signed by an issuer|too short"):
        parsed(of_text(text))


def licence_of(text: str) -> Licence:
    """A licence of content() with a text of JSON's fields behind it."""
    return parsed(of_text(json.dumps(content())[:-1] + ", " + text + "}"))


@pytest.mark.parametrize(
    ("features", "yes"),
    [
        ("null", True),
        ("{}", True),
        ('{"mhpns": null}', True),
        ('{"future_features": true}', True),
        ('{"future_features": false}', False),
        ('{"future_features": false, "mhpns": true}', True),
        ('{"mhpns": false}', False),
    ],
)
def test_an_absent_feature_takes_the_value_of_future_features_and_that_one_is_true_when_absent(
    features: str, yes: bool
) -> None:
    assert licence_of(f'"features": null, "features": {features}').mhpns is yes


def test_a_licence_without_features_has_all_of_them_and_no_users() -> None:
    without = {name: value for name, value in content().items() if name != "features"}
    licence = parsed(of_text(json.dumps(without)))
    assert (licence.mhpns, licence.cloud, licence.users) == (True, False, 0)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ('"SKU_Short_Name": "E20"', "sku", "E20"),
        ('"sku_short_name": "E10", "sku_short_name": "E20"', "sku", "E20"),
        ('"SKU_SHORT_NAME": "E10", "sku_short_name": null', "sku", "E10"),
        ('"\u017fku_short_name": "E20"', "sku", "E20"),
        ('"s\u212au_short_name": "E20"', "sku", "E20"),
        ('"sku-short-name": "E20"', "sku", "professional"),
        ('"features": {"mhpns": false}, "features": {"users": 5}', "mhpns", False),
        ('"features": {"mhpns": false}, "FEATURES": null', "mhpns", True),
        ('"Features": {"Users": 7, "USERS": 8}', "users", 8),
        ('"features": {"users": null}', "users", 0),
        ('"i\u00dfued_at": 7', "issued_at", START),
        ('"customer": {"company": "\\ud800Umlaut \u00e4\\u0000"}', "company", "\ufffdUmlaut \u00e4\ufffd"),
        ('"limits": {"push_notifications": 10000}', "push_limit", 10_000),
    ],
)
def test_keys_are_read_as_go_reads_them(text: str, name: str, value: Any) -> None:
    assert getattr(licence_of(text), name) == value


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('"expires_at": "2027"', "expires_at of this licence is not a whole number"),
        ('"expires_at": 1.5', "expires_at"),
        ('"expires_at": 1e3', "expires_at"),
        ('"expires_at": true', "expires_at"),
        ('"expires_at": 9223372036854775808', "expires_at"),
        ('"expires_at": 9223372036854775807', "beyond any calendar"),
        ('"expires_at": 1', "ends before it starts"),
        ('"is_trial": "no"', "is_trial of this licence is not true or false"),
        ('"features": {"mhpns": 1}', r"features\.mhpns of this licence is not true or false"),
        ('"features": []', "features of this licence is not an object"),
        ('"features": {"users": -1}', "number of users"),
        ('"id": "short"', "26 letters and digits"),
        ('"id": "' + "\u00e4" * 26 + '"', "26 letters and digits"),
    ],
)
def test_a_value_of_another_type_is_named_and_refused(text: str, what: str) -> None:
    with pytest.raises(LicenceFileError, match=what):
        licence_of(text)
