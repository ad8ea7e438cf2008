"""What a push decides by itself: its app, its lifetime, what replaces it, its name at Apple."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.protocol import policy
from delivery.protocol.wire import Push

ID = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("platform", "label", "version"),
    [
        ("apple_rn-v2", "apple_rn", 2),
        ("apple_rn", "apple_rn", 1),
        ("apple_rn-v", "apple_rn", 1),
        ("apple_rn-vX", "apple_rn", 1),
        ("apple_rn-v2.1", "apple_rn", 1),
        ("apple_rn-v 2", "apple_rn", 1),
        ("apple_rn-v1_0", "apple_rn", 1),
        ("apple_rn-v\u0662", "apple_rn", 1),
        ("apple_rn-v+2", "apple_rn", 2),
        ("apple_rn-v02", "apple_rn", 2),
        ("apple_rn-v0", "apple_rn", 0),
        ("apple_rn-v-1", "apple_rn", -1),
        ("apple_rn-v9223372036854775807", "apple_rn", 2**63 - 1),
        ("apple_rn-v9223372036854775808", "apple_rn", 1),
        ("apple_rn-v" + "9" * 10_000, "apple_rn", 1),
        ("a-v3-v4", "a", 1),
        ("-v3", "", 3),
        ("", "", 1),
    ],
)
def test_a_platform_is_cut_at_its_first_version_mark(platform: str, label: str, version: int) -> None:
    assert policy.app_label(platform) == (label, version)


def test_a_platform_as_long_as_a_body_is_read_and_not_remembered() -> None:
    before = policy._split.cache_info().currsize
    assert policy.app_label("a" * 200_000 + "-v2") == ("a" * 200_000, 2)
    assert policy._split.cache_info().currsize == before


@pytest.mark.parametrize("transport", ["", "VoIP", "voip ", "standard", "background"])
def test_only_the_exact_word_makes_a_call(transport: str) -> None:
    assert not policy.is_voip(Push(platform="apple_rn-v2", transport=transport))


def test_a_call_is_for_apple_alone() -> None:
    assert policy.is_voip(Push(platform="apple_rn-v2", transport="voip"))
    assert policy.is_voip(Push(platform="acme_ios-v2", transport="voip"))
    assert not policy.is_voip(Push(platform="android_rn-v2", transport="voip"))


@pytest.mark.parametrize("kind", ["message", "clear", "update_badge", "session", "", "anything"])
def test_news_is_worth_a_week(kind: str) -> None:
    assert policy.lifetime(Push(platform="apple_rn-v2", type=kind)) == 7 * 24 * 3600


def test_a_call_is_worth_a_minute_and_only_at_apple() -> None:
    assert policy.lifetime(Push(platform="apple_rn-v2", type="message", transport="voip")) == 60
    assert policy.lifetime(Push(platform="android_rn-v2", type="message", transport="voip")) == policy.WEEK


def test_a_test_is_worth_five_minutes() -> None:
    assert policy.lifetime(Push(platform="apple_rn-v2", type="test")) == 300


def test_a_repeat_of_a_push_replaces_itself_and_no_other_post() -> None:
    one = Push(platform="apple_rn-v2", type="message", ack_id="a1", post_id="p1", channel_id="c")
    again = Push(platform="apple_rn-v2", type="message", ack_id="a1", post_id="p1", channel_id="c")
    next_post = Push(platform="apple_rn-v2", type="message", ack_id="a2", post_id="p2", channel_id="c")
    same_ack = Push(platform="apple_rn-v2", type="message", ack_id="a1", post_id="p2", channel_id="c")
    assert policy.collapse_id(one) == policy.collapse_id(again) != ""
    assert len({policy.collapse_id(push) for push in (one, next_post, same_ack)}) == 3


def clear(**members: str | bool) -> str:
    push = Push(platform="apple_rn-v2", type="clear", server_id=ID, ack_id=str(uuid.uuid4()))
    for name, value in members.items():
        setattr(push, name, value)
    return policy.collapse_id(push)


def test_the_clears_of_one_channel_replace_each_other() -> None:
    assert clear(channel_id="c1") == clear(channel_id="c1") != clear(channel_id="c2")
    assert clear(channel_id="c1") != clear(channel_id="c1", server_id="other")


def test_the_clears_of_one_thread_replace_each_other_where_threads_are_collapsed() -> None:
    assert clear(channel_id="c", root_id="r", is_crt_enabled=True) == clear(
        channel_id="d", root_id="r", is_crt_enabled=True
    )
    assert clear(channel_id="c", root_id="r", is_crt_enabled=True) != clear(channel_id="c")
    assert clear(channel_id="c", root_id="r", is_crt_enabled=False) == clear(channel_id="c")


def test_clears_without_a_channel_do_not_replace_each_other() -> None:
    assert clear() != clear()
    assert clear(root_id="r", is_crt_enabled=True) != clear(root_id="r", is_crt_enabled=True)


def test_the_badge_updates_of_one_server_replace_each_other() -> None:
    pushes = [
        Push(type="update_badge", server_id="s", ack_id="1"),
        Push(type="update_badge", server_id="s", ack_id="2"),
    ]
    assert policy.collapse_id(pushes[0]) == policy.collapse_id(pushes[1])


def test_calls_and_pushes_without_ack_id_have_no_collapse_id() -> None:
    assert policy.collapse_id(Push(platform="apple_rn-v2", type="message", transport="voip", ack_id="a")) == ""
    assert policy.collapse_id(Push(platform="apple_rn-v2", type="message", post_id="p")) == ""
    assert policy.collapse_id(Push(platform="apple_rn-v2", type="test")) == ""


def test_ordinary_ids_fit_without_hashing() -> None:
    assert clear(channel_id=ID) == f"clear:{ID}:{ID}"


@given(st.text(), st.text(), st.text(), st.sampled_from(["message", "clear", "update_badge", "session", ""]))
def test_a_collapse_id_is_a_header_value_of_64_bytes_at_most(ack: str, server: str, post: str, kind: str) -> None:
    name = policy.collapse_id(Push(type=kind, ack_id=ack, server_id=server, post_id=post, channel_id=post))
    assert len(name.encode("ascii")) <= policy.COLLAPSE_ID_LIMIT
    assert name.isprintable()


@given(st.integers(0, 2**40), st.text(), st.text(min_size=1), st.text())
def test_an_apns_id_is_a_stable_uuid_of_version_5(server: int, device: str, ack: str, kind: str) -> None:
    push = Push(device_id=device, ack_id=ack, type=kind)
    name = policy.push_id(server, push)
    parsed = uuid.UUID(name)
    assert str(parsed) == name
    assert (parsed.version, parsed.variant) == (5, uuid.RFC_4122)
    assert name == policy.push_id(server, Push(device_id=device, ack_id=ack, type=kind, message="other text"))


def test_an_apns_id_differs_by_server_device_ack_and_type() -> None:
    push = Push(device_id="d", ack_id="a", type="message")
    names = {
        policy.push_id(1, push),
        policy.push_id(2, push),
        policy.push_id(1, Push(device_id="e", ack_id="a", type="message")),
        policy.push_id(1, Push(device_id="d", ack_id="b", type="message")),
        policy.push_id(1, Push(device_id="d", ack_id="a", type="clear")),
    }
    assert len(names) == 5


def test_an_apns_id_without_ack_id_is_random() -> None:
    push = Push(device_id="d", type="test")
    first, second = policy.push_id(1, push), policy.push_id(1, push)
    assert first != second
    assert uuid.UUID(first).version == 4


# --- What a customer wants left out

TYPES = ("message", "clear", "update_badge", "test", "session", "", "something new")
# What people wrote, or what they are called.
PERSONAL = {
    "message": "ada: lunch at twelve?",
    "sender_name": "Ada",
    "channel_name": "Layoffs 2027",
    "override_username": "Payroll",
    "override_icon_url": "https://acme.example/ada.png",
}


@pytest.mark.parametrize("content", ["generic", "id_only"])
@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "session"])
@pytest.mark.parametrize("sub_type", ["", "calls", "something new"])
@pytest.mark.parametrize("platform", ["apple_rn-v2", "android_rn-v2"])
def test_nothing_that_people_wrote_goes_on_whatever_the_type(
    content: str, kind: str, sub_type: str, platform: str
) -> None:
    push = Push(type=kind, sub_type=sub_type, platform=platform, post_id="p", ack_id="a", **PERSONAL)
    text_left = str(policy.without_text(push, content))
    for text in PERSONAL.values():
        assert text not in text_left
    assert "Ada" not in text_left


@pytest.mark.parametrize("content", ["generic", "id_only"])
def test_all_that_the_app_needs_stays(content: str) -> None:
    push = Push(
        **{name: f"{name}!" for name in Push.__struct_fields__ if isinstance(getattr(Push(), name), str)}
        | {"badge": 3, "cont_ava": 1, "is_crt_enabled": True, "type": "message", "sub_type": ""}
    )
    stripped = policy.without_text(push, content)
    changed = {name for name in Push.__struct_fields__ if getattr(stripped, name) != getattr(push, name)}
    assert changed - {"is_id_loaded"} == set(PERSONAL)


@pytest.mark.parametrize("content", ["generic", "id_only"])
def test_a_push_without_text_gets_none(content: str) -> None:
    assert policy.without_text(Push(type="clear"), content).message == ""
    assert policy.without_text(Push(type="message", message="x"), content).message == policy.NO_TEXT


@pytest.mark.parametrize("content", ["generic", "id_only"])
def test_a_sessions_push_says_why_the_phone_is_logged_out(content: str) -> None:
    push = Push(type="session", message="Your session has expired.")
    assert policy.without_text(push, content) is push


@pytest.mark.parametrize("content", ["generic", "id_only"])
def test_a_call_rings_for_someone(content: str) -> None:
    push = Push(type="message", sub_type="calls", sender_name="Ada", message="Ada is calling", transport="voip")
    stripped = policy.without_text(push, content)
    assert (stripped.sender_name, stripped.channel_name, stripped.transport, stripped.sub_type) == (
        "Someone",
        "",
        "voip",
        "calls",
    )


@pytest.mark.parametrize(
    ("members", "fetched"),
    [
        ({}, True),
        ({"post_id": ""}, False),
        ({"ack_id": ""}, False),
        ({"sub_type": "calls"}, False),
        ({"type": "clear"}, False),
        ({"type": "test"}, False),
        ({"post_id": "", "is_id_loaded": True}, True),
    ],
)
def test_the_app_is_asked_to_fetch_a_message_that_it_can_fetch(members: dict[str, str], fetched: bool) -> None:
    push = Push(**{"type": "message", "post_id": "p", "ack_id": "a", **members})  # type: ignore[arg-type]
    assert policy.without_text(push, "id_only").is_id_loaded is fetched
    assert policy.without_text(push, "generic").is_id_loaded is push.is_id_loaded


@given(st.sampled_from(TYPES), st.sampled_from(["", "calls"]), st.sampled_from(["generic", "id_only"]))
def test_leaving_text_out_twice_is_leaving_it_out_once(kind: str, sub_type: str, content: str) -> None:
    once = policy.without_text(Push(type=kind, sub_type=sub_type, post_id="p", ack_id="a", **PERSONAL), content)
    assert policy.without_text(once, content) == once
