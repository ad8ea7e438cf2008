"""Turn :names: in a text into emoji, by the names that Mattermost's own apps know. Pure but for reading its data once.

Mattermost strips the Markdown from a push but leaves `:smile:` as it is, and phones show what they get. Invariant: only
whole names of the table between two colons change; everything else, unknown names with their colons included, stays.

The table (emoji.tsv; its first lines say where it is from) has the 2,332 names of the apps' picker that have a glyph.
With a skin tone a name goes on as in the apps: `wave_dark_skin_tone`, for two people
`people_holding_hands_light_skin_tone_dark_skin_tone`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

DATA = Path(__file__).with_name("emoji.tsv")

_TONES: Final = {
    "1": "_light_skin_tone",
    "2": "_medium_light_skin_tone",
    "3": "_medium_skin_tone",
    "4": "_medium_dark_skin_tone",
    "5": "_dark_skin_tone",
}


def _read(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each name of the table, skin tones included, with its glyph."""
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("#") and line[1:2] in ("", " "):  # a comment, not the keycap
            continue
        glyph, names, *tones = line.split("\t")
        glyphs = {"": glyph}
        for tone in tones[0].split(" ") if tones else ():
            digits, _, toned = tone.partition("=")
            glyphs["".join(_TONES[digit] for digit in digits)] = toned
        for name in names.split(" "):
            for suffix, shown in glyphs.items():
                yield name + suffix, shown


GLYPHS: Final[dict[str, str]] = dict(_read(DATA))


def replace(text: str) -> str:
    """Return `text` with every :name: that the table knows replaced by its glyph, and nothing else changed.

    Names are case-sensitive, as in the apps. An unknown name keeps both its colons, and the second may open the next
    name: `:foo:smile:` has a smile. Linear in the length of the text.
    """
    if ":" not in text:
        return text
    parts = text.split(":")
    shown = [parts[0]]
    last = len(parts) - 1
    index = 1
    while index <= last:
        glyph = GLYPHS.get(parts[index]) if index < last else None
        if glyph is None:
            shown += (":", parts[index])
            index += 1
        else:
            shown += (glyph, parts[index + 1])
            index += 2
    return "".join(shown)
