"""The public pages of outcome codes."""

import html

import pytest
from django.test import Client
from django.urls import reverse

from delivery.insight.catalogue import ENTRIES
from delivery.outcomes import judge


@pytest.mark.parametrize("code", list(ENTRIES))
def test_each_code_has_a_page_without_login_and_without_a_database(code: str) -> None:
    answer = Client().get(f"/codes/{code}/")
    text = answer.content.decode()
    assert answer.status_code == 200
    for heading in ("What to do", "Whose it is", "What the server is told", "What it means for the phone"):
        assert heading in text
    assert ">Log in<" not in text
    assert answer["Cache-Control"] == "public, max-age=3600"
    assert "Cookie" not in answer.get("Vary", "")


@pytest.mark.parametrize(("code", "who"), [("apns_invalid_provider_token", "Apple"), ("fcm_unauthenticated", "Google")])
def test_the_page_of_a_refused_key_says_that_nothing_is_to_be_done_while_everybodys_is(code: str, who: str) -> None:
    text = html.unescape(Client().get(f"/codes/{code}/").content.decode())
    assert f"While {who} refuses the credentials of many customers at once" in text
    assert "nothing is to be done about the key" in text
    other = Client().get("/codes/apns_bad_topic/").content.decode()
    assert "of many customers at once" not in other


def test_the_index_leads_to_each_code() -> None:
    text = Client().get("/codes/").content.decode()
    assert [code for code in ENTRIES if f'href="{code}/"' not in text] == []


@pytest.mark.parametrize("code", ["apns_bad_topik", "<script>", "%00", "x" * 4000, "شركة", "..", "{{ version }}"])
def test_an_unknown_code_is_a_page_that_helps(code: str) -> None:
    answer = Client().get(f"/codes/{code}/")
    text = answer.content.decode()
    assert answer.status_code == 404
    assert "Show all codes" in text
    assert "<script>" not in text.partition("<main")[2]


def test_a_code_that_is_nearly_right_is_led_to() -> None:
    assert "/codes/apns_bad_topic/" in Client().get("/codes/apns_bad_topik/").content.decode()
    assert Client().get("/codes/APNS_BAD_TOPIC/").status_code == 200


def test_the_texts_in_servers_logs_end_with_the_address_of_their_page() -> None:
    for base in ("https://push.example.com", "https://push.example.com/"):
        text = judge.text(judge.refusal("no_app"), "t-1", base, label="x")
        assert text.endswith(f"(trace t-1) https://push.example.com{reverse('code', args=['no_app'])}")
    assert judge.text(judge.refusal("no_app"), "t-1", label="x").endswith("(trace t-1)")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("apns_service_unavailable", "Yes, for the provider took nothing: after growing pauses"),
        ("transport_connect", "a message for 1 d, a wipe for 7 d, a call for 1 min, a clear or a badge for 2 min"),
        ("transport_timeout_unanswered", "Once, under the same ids, where a second one would take the place of the"),
        ("apns_trouble", "Yes, where a second one would take the place of the first on the phone"),
        ("apns_bad_topic", "No: it would end in the same way."),
    ],
)
def test_a_codes_page_says_whether_such_a_push_is_tried_again_and_what_the_server_is_told(
    code: str, words: str
) -> None:
    text = html.unescape(Client().get(f"/codes/{code}/").content.decode())
    assert "Whether it is tried again" in text
    assert words in text
    assert ("told OK" in text) == (code != "apns_bad_topic")


@pytest.mark.parametrize("code", ["sent", "missing_ack_id"])
def test_what_nothing_failed_of_has_no_word_on_trying_again(code: str) -> None:
    assert "tried again" not in Client().get(f"/codes/{code}/").content.decode()
