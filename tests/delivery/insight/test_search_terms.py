"""What a search understands of whatever is pasted into it."""

import pytest

from delivery.insight.search_terms import MOST, Kind, understand

TRACE = "0123456789ab-1f"
ID = "ybndrfg8ejkmcpqxot1uwisz3y"
OTHER = "abcdefghijkmnopqrstuwxyz1y"
TOKEN = "5a" * 32
GOOGLE = "dPx_1-abcdefghijklmnop:APA91b" + "Qq-_" * 33


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        (TRACE, Kind.TRACE, TRACE),
        (f"  {TRACE}\n", Kind.TRACE, TRACE),
        (f"apns_bad_topic Apple refused the topic x: enter it (trace {TRACE})", Kind.TRACE, TRACE),
        (f"https://push.example.com/c/acme/delivery/{TRACE}/", Kind.TRACE, TRACE),
        (ID, Kind.ID, ID),
        (f"https://chat.example.com/team/pl/{ID}", Kind.POST, ID),
        (f"https://chat.example.com/mattermost/_redirect/pl/{ID}?view=1", Kind.POST, ID),
        (f'{{"level":"error","msg":"x","ackId":"{ID}","postId":"{OTHER}","deviceId":"y"}}', Kind.ACK, ID),
        (f'{{"ackId":"","postId":"{OTHER}"}}', Kind.POST, OTHER),
        (rf'{{"msg":"{{\"post_id\":\"{OTHER}\"}}"}}', Kind.POST, OTHER),
        (f"level=error msg=x ack_id={ID} post_id={OTHER}", Kind.ACK, ID),
        (f'debug Notification sent  caller="app/a.go:1" ackId={ID}', Kind.ACK, ID),
        (f"error failed deviceId=apple_rn-v2:{TOKEN} status=FAIL", Kind.DEVICE, TOKEN),
        (f"something about {ID} went wrong", Kind.SERVER, f"something about {ID} went wrong"),
        ("x" * 250 + f" {ID} went wrong", Kind.ID, ID),
        (f"apple_rn-v2:{TOKEN}", Kind.DEVICE, TOKEN),
        (f"android_rnbeta-v2:{GOOGLE}", Kind.DEVICE, GOOGLE),
        (TOKEN, Kind.DEVICE, TOKEN),
        (GOOGLE, Kind.DEVICE, GOOGLE),
        ("a" * 32, Kind.PRINT, "a" * 32),
        ("hk_7Qm2aaaa_" + "b" * 32, Kind.KEY, "7Qm2aaaa"),
        ("https://push.example.com/t/hk_7Qm2aaaa_" + "b" * 32, Kind.KEY, "7Qm2aaaa"),
        ("apns_bad_topic", Kind.CODE, "apns_bad_topic"),
        ("APNS_BAD_TOPIC:", Kind.CODE, "apns_bad_topic"),
        ("no_app no mobile app is set up: add one", Kind.CODE, "no_app"),
        ("BadDeviceToken", Kind.CODE, "apns_bad_device_token"),
        ("UNREGISTERED", Kind.CODE, "fcm_unregistered"),
        ("https://push.example.com/codes/no_app/", Kind.CODE, "no_app"),
        ("chat.example.com", Kind.SERVER, "chat.example.com"),
        ("Main office", Kind.SERVER, "Main office"),
        ("شركة", Kind.SERVER, "شركة"),
    ],
)
def test_what_is_pasted_is_understood(text: str, kind: Kind, value: str) -> None:
    found = understand(text)
    assert found
    assert found[0][:2] == (kind, value)


def test_a_line_of_a_log_gives_the_ack_first_then_the_post_and_the_device() -> None:
    line = f'{{"deviceId":"apple_rn-v2:{TOKEN}","postId":"{OTHER}","ackId":"{ID}","channelId":"{OTHER}"}}'
    assert [(term.kind, term.value) for term in understand(line)] == [
        (Kind.ACK, ID),
        (Kind.POST, OTHER),
        (Kind.DEVICE, TOKEN),
    ]


@pytest.mark.parametrize(
    "text",
    ["", " ", "\0", f"{TRACE}\0", "a" * 5000, "a b " * 1250, "x" * (MOST + 1), "(" * 5000, "\x1b[31m", "!" * 5000],
)
def test_nonsense_is_not_understood(text: str) -> None:
    assert understand(text) == []


def test_a_uuid_and_a_longer_word_are_no_trace() -> None:
    for text in ("00000000-0000-4000-8000-0123456789ab-1", f"x{TRACE}", f"{TRACE}-1"):
        assert Kind.TRACE not in [term.kind for term in understand(text)]


def test_the_longest_text_that_is_read_takes_no_time() -> None:
    for text in (
        "ackId=" * (MOST // 6),
        "0123456789ab-" * (MOST // 13),
        '"\\' * (MOST // 2),
        "a" * 26 + " " + "b" * 9000,
    ):
        understand(text)
