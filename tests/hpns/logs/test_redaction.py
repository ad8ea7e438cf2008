"""What the redaction does by itself; test_setup.py attacks it through every place of a log line."""

import time

from hpns.logs.redaction import _RULES, Redactor


def test_our_own_secrets_are_found_whatever_they_look_like() -> None:
    redact = Redactor(["pass/word plain", "tiny"])
    assert redact("x pass/word plain y") == "x [redacted] y"
    assert redact("x pass%2Fword%20plain y") == "x [redacted] y"
    assert redact("a tiny thing") == "a tiny thing"


def test_redaction_is_quick_on_an_ordinary_line_and_on_a_hostile_one() -> None:
    redact = Redactor(["x" * 50])
    began = time.process_time()
    for part in (
        "push failed trace=abc-1 ",
        "message=",
        '\\"',
        'message="',
        "/t/",
        "a",
        "a://",
        "eyJaaaaa.",
        "\\",
        "hk_",
    ):
        assert len(redact(part * (200_000 // len(part)))) < 20_000
    assert time.process_time() - began < 1


def test_no_rule_takes_time_that_grows_faster_than_the_line() -> None:
    heads = ("eyJ", "hk_", "-----BEGIN ", "message", 'secret="', "bearer ", "cookie", "://", "ya29.", "00000000 ", "a")
    began = time.process_time()
    for _, rule, replacement in _RULES:
        for head in heads:
            # Long enough for the square of it to take half a minute.
            rule.sub(replacement, head * (200_000 // len(head)))
    assert time.process_time() - began < 8
