"""Emoji by the names of Mattermost's apps."""

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.providers import emoji


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("good :+1:", "good \U0001f44d"),
        (":thumbsup::tada:", "\U0001f44d\U0001f389"),
        ("a:smile:b", "a\U0001f604b"),
        (":heart:", "\u2764\ufe0f"),
        (":hash:", "#\ufe0f\u20e3"),
        (":rofl: :thinking:", "\U0001f923 \U0001f914"),
        (":woman-shrugging:", "\U0001f937\u200d\u2640\ufe0f"),
        (":wave_dark_skin_tone:", "\U0001f44b\U0001f3ff"),
        (":thumbsup_medium_skin_tone:", "\U0001f44d\U0001f3fd"),
        (":metal_light_skin_tone:", "\U0001f918\U0001f3fb"),
        (":+1::skin-tone-3:", "\U0001f44d\U0001f3fc"),
        (
            ":people_holding_hands_light_skin_tone_dark_skin_tone:",
            "\U0001f9d1\U0001f3fb\u200d\U0001f91d\u200d\U0001f9d1\U0001f3ff",
        ),
        (
            ":flag-de: :us: :ca: :za:",
            "\U0001f1e9\U0001f1ea \U0001f1fa\U0001f1f8 \U0001f1e8\U0001f1e6 \U0001f1ff\U0001f1e6",
        ),
        ("12:30:45 :ok_hand:", "12:30:45 \U0001f44c"),
        ("x::smile:", "x:\U0001f604"),
        ("http://example.org:8080/:tada:", "http://example.org:8080/\U0001f389"),
    ],
)
def test_known_names_are_shown(text: str, shown: str) -> None:
    assert emoji.replace(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        ":mattermost:",
        ":custom:",
        ":flag-zz:",
        ":SMILE:",
        ":Smile:",
        "smile:",
        ":smile",
        ": smile:",
        ":smile :",
        "::",
        ":::",
    ],
)
def test_everything_else_stays(text: str) -> None:
    assert emoji.replace(text) == text


def test_an_unknown_name_leaves_its_colon_to_the_next() -> None:
    assert emoji.replace(":foo:smile:") == ":foo\U0001f604"


def test_a_known_name_takes_both_its_colons() -> None:
    assert emoji.replace(":smile:tada:") == "\U0001f604tada:"


def test_the_table_has_the_names_of_the_apps() -> None:
    toned = re.compile(r"_skin_tone$")
    plain = [name for name in emoji.GLYPHS if not toned.search(name)]
    assert len(plain) == 2332
    assert all(re.fullmatch(r"[a-z0-9_+-]+", name) for name in emoji.GLYPHS)


def test_every_glyph_is_a_picture_or_a_sequence_of_one() -> None:
    for name, glyph in emoji.GLYPHS.items():
        assert glyph.strip() == glyph != "", name
        assert not glyph.isascii(), name
        assert not any(unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn", "Lu", "Zs") for char in glyph), name


def test_every_tone_has_its_own_glyph() -> None:
    assert len({emoji.GLYPHS["wave" + tone] for tone in ("", *emoji._TONES.values())}) == 6


@given(st.text(alphabet=":smileado_ +1\U0001f604") | st.text())
def test_only_names_between_colons_change(text: str) -> None:
    shown = emoji.replace(text)
    assert (shown == text) or text.count(":") >= 2
    assert len(shown) <= len(text)


def test_a_hostile_text_costs_milliseconds() -> None:
    took = []
    for text in (":" * 65_536, ":a" * 32_768, ":smile" * 10_000):
        start = time.process_time()
        emoji.replace(text)
        took.append(time.process_time() - start)
    assert max(took) < 0.2
