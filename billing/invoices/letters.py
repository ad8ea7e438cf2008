"""Which letters the product's own font of documents has, by their scripts: told on pages before anything is issued.

What decides is the font itself (billing/invoices/pdf.py check_letters), which pages do not load.
"""

import unicodedata
from collections.abc import Iterable
from typing import Final

# Scripts of DejaVu Sans, as the names of letters begin (Unicode).
_SCRIPTS: Final = frozenset({"LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN", "HEBREW", "ARABIC"})
SHOWN: Final = 20


def lacking(texts: Iterable[str]) -> str:
    """The letters of other scripts, each once; "" where there are none. Signs and digits are no letters."""
    found = dict.fromkeys(letter for text in texts for letter in text if _is_foreign(letter))
    return "".join(found)[:SHOWN]


def _is_foreign(letter: str) -> bool:
    if unicodedata.category(letter) not in ("Lo", "Ll", "Lu", "Lt"):
        return False
    return unicodedata.name(letter, "").partition(" ")[0] not in _SCRIPTS
