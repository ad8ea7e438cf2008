"""What is cut from a push before it is queued is what the worker would cut: nothing that is delivered differs."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.ingest import trimming
from delivery.protocol import policy, wire
from delivery.protocol.wire import Push
from delivery.providers import emoji, text
from delivery.providers.apns import payload as apns
from delivery.providers.fcm import payload as fcm

LONGEST_NAME = max(len(name.encode()) for name in emoji.GLYPHS)
NAMES = sorted(emoji.GLYPHS)
# What messages are made of: emoji that shrink most, names that are none, characters of each size, what stays together,
# and what JSON writes longer.
PIECES = st.sampled_from(
    (
        *(":+1:", ":smile:", f":{max(NAMES, key=len)}:", ":people_holding_hands_light_skin_tone_dark_skin_tone:"),
        *(":flag-de:", ":de:", ":not_an_emoji:", ":", "::", ":smile", "a", "word ", "\u00e4", "\u4e2d", "\U0001f600"),
        *("\U0001f1e9\U0001f1ea", "\U0001f468\u200d\U0001f469", "e\u0301", '"', "\\", "\n", "\x01", "<&>", "x" * 100),
    )
)
MESSAGES = st.lists(st.tuples(PIECES, st.integers(1, 400)), min_size=1, max_size=12).map(
    lambda parts: "".join(piece * count for piece, count in parts)
)
KINDS: Any = st.fixed_dictionaries(
    {
        "type": st.sampled_from(("message", "session", "clear", "update_badge", "test", "other")),
        "is_id_loaded": st.booleans(),
        "transport": st.sampled_from(("", "voip")),
        "platform": st.sampled_from(("apple_rn-v2", "android_rn-v2")),
        "version": st.sampled_from(("", "v2")),
        "cont_ava": st.integers(0, 1),
        "channel_name": st.one_of(st.just(""), MESSAGES),
        "sender_name": st.one_of(st.text(max_size=600), MESSAGES),
        "override_username": st.one_of(st.text("ab", max_size=900), MESSAGES),
        "override_icon_url": st.one_of(st.text("/%", max_size=5_000), st.just("/" * 9_000)),
    }
)


def delivered(push: Push) -> list[Any]:
    """All that reaches a provider of a push, at either of them."""
    return [
        apns.body(push, 2),
        fcm.body(push, 60),
        policy.collapse_id(push),
        policy.lifetime(push),
        policy.is_voip(push),
        policy.app_label(push.platform),
        push.device_id,
    ]


@settings(max_examples=150, deadline=None)
@given(MESSAGES, KINDS)
def test_what_is_delivered_of_a_trimmed_push_is_byte_for_byte_what_is_delivered_of_the_whole_one(
    message: str, members: dict[str, Any]
) -> None:
    push = Push(ack_id="a", server_id="s", device_id="d", post_id="p", channel_id="c", message=message, **members)
    trimmed = trimming.trim(push)
    assert delivered(trimmed) == delivered(push)
    assert len(trimmed.message.encode()) <= text.TRIMMED_TO
    assert len(trimmed.channel_name) <= 128
    assert trimming.trim(trimmed) == trimmed


@pytest.mark.parametrize("where", range(0, 2 * LONGEST_NAME, 3))
def test_a_name_that_a_cut_goes_through_changes_nothing(where: int) -> None:
    name = f":{max(NAMES, key=len)}:"
    for filling in (":smile:", "x", ":" * 7):
        head = (filling * (2 * text.TRIMMED_TO))[: 2 * text.TRIMMED_TO - where]
        push = Push(type="message", message=head + name * 2_000, device_id="d")
        assert delivered(trimming.trim(push)) == delivered(push)


def test_what_is_kept_of_a_text_is_longer_than_any_provider_takes_and_the_margin_than_any_name() -> None:
    assert max(apns.LIMIT, fcm.LIMIT) < text.TRIMMED_TO - 3
    assert LONGEST_NAME + 2 < text._MARGIN


@pytest.mark.parametrize("member", trimming._MEMBERS)
def test_a_member_that_no_provider_takes_is_named(member: str) -> None:
    push = Push(**{"message": "hello", member: "\u00e4" * 3_500})
    with pytest.raises(
        trimming.TooLarge, match=f"the push's {member} has 7,000 bytes, and no provider takes that much"
    ):
        trimming.trim(push)


def test_each_text_of_a_push_is_cut_or_counted() -> None:
    assert not trimming._TRIMMED & set(trimming._MEMBERS)
    texts = {name for name, kind in wire._PUSH_MEMBERS.items() if kind is str}
    assert texts == {*trimming._MEMBERS, *trimming._TRIMMED}


def test_a_trimmed_push_is_a_few_kilobytes_whatever_its_text_is() -> None:
    for message in ("x" * 250_000, ":" * 250_000, ":+1:" * 60_000, "\u4e2d" * 80_000):
        push = trimming.trim(Push(type="message", message=message, channel_name=message, device_id="d" * 6_000))
        assert len(wire.encode_push(push)) < 12_000
