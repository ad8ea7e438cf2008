"""How the text of a push is shown, and where it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.protocol.wire import Push
from delivery.providers import emoji, text

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
WAVE = "\U0001f44b\U0001f3fd"
GERMANY, FRANCE = "\U0001f1e9\U0001f1ea", "\U0001f1eb\U0001f1f7"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
HEART = "\u2764\ufe0f"
E_ACUTE = "e\u0301"
KEYCAP = "1\ufe0f\u20e3"


@pytest.mark.parametrize("kind", ["message", "session"])
def test_emoji_are_shown_in_what_people_read(kind: str) -> None:
    assert text.message(Push(type=kind, message=":+1:")) == "\U0001f44d"


@pytest.mark.parametrize("kind", ["clear", "test", "", "MESSAGE"])
def test_other_texts_are_left_alone(kind: str) -> None:
    assert text.message(Push(type=kind, message=":+1:")) == ":+1:"
    assert text.message(Push(type="message", message=":+1:", is_id_loaded=True)) == ":+1:"


def test_no_name_shrinks_so_much_that_the_first_look_could_be_too_short() -> None:
    assert max((len(name) + 2) / len(glyph.encode()) for name, glyph in emoji.GLYPHS.items()) < 16


def test_a_huge_text_is_not_looked_at_to_its_end() -> None:
    assert len(text.message(Push(type="message", message="x" * 1_000_000))) == 65_536


def test_a_channel_name_has_64_characters() -> None:
    assert text.channel_name(Push(channel_name="\u65e5" * 64)) == "\u65e5" * 64
    assert text.channel_name(Push(channel_name="\u65e5" * 65)) == "\u65e5" * 64
    assert text.channel_name(Push(channel_name="x" * 63 + WAVE)) == "x" * 63


@pytest.mark.parametrize("one", [FAMILY, WAVE, GERMANY, SCOTLAND, HEART, E_ACUTE, KEYCAP])
def test_what_is_seen_as_one_character_is_not_parted(one: str) -> None:
    for before in ("", "ab", one, one * 3):
        whole = before + one + "cd"
        start, end = len(before), len(before) + len(one)
        for at in range(start + 1, end):
            assert text.boundary(whole, at) == start
        assert text.boundary(whole, end) == end


def test_flags_are_counted_from_the_first() -> None:
    flags = GERMANY + FRANCE + GERMANY
    assert [text.boundary(flags, at) for at in range(7)] == [0, 0, 2, 2, 4, 4, 6]
    assert [text.boundary("x" + flags, at) for at in range(8)] == [0, 1, 1, 3, 3, 5, 5, 7]


def test_a_pile_of_marks_is_parted_in_the_end() -> None:
    assert text.boundary("e" + "\u0301" * 1000, 500) == 500


def test_a_text_that_fits_stays_whole() -> None:
    assert text.shorten("hello", 5, len) == "hello"


def test_a_text_that_does_not_fit_ends_in_an_ellipsis() -> None:
    assert text.shorten("hello", 4, len) == "hel\u2026"
    assert text.shorten("hello" + FAMILY, 8, len) == "hello\u2026"


@pytest.mark.parametrize("room", [1, 0, -1, -1000])
def test_a_text_without_room_is_left_out(room: int) -> None:
    assert text.shorten("hello", room, len) == ""


def utf8(value: str) -> int:
    return len(value.encode())


@given(st.text() | st.text(alphabet=FAMILY + WAVE + GERMANY + HEART + E_ACUTE), st.integers(-5, 60))
def test_a_shortened_text_is_a_beginning_that_fits(whole: str, room: int) -> None:
    short = text.shorten(whole, room, utf8)
    assert utf8(short) <= max(room, 0) or short == whole
    if short != whole:
        assert short == "" or (short.endswith("\u2026") and whole.startswith(short[:-1]))
        kept = len(short) - 1
        if short and kept < len(whole):
            assert text.boundary(whole, kept) == kept
