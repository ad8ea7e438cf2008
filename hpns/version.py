"""The version of the service: it is the newest heading of CHANGELOG.md."""

import re
from pathlib import Path

_HEADING = re.compile(r"^## (\d+\.\d+\.\d+)", re.MULTILINE)


def read(changelog: str) -> str:
    """The newest released version named in the text of a changelog; "0.0.0" while nothing is released."""
    found = _HEADING.search(changelog)
    return found.group(1) if found else "0.0.0"


VERSION = read((Path(__file__).resolve().parent.parent / "CHANGELOG.md").read_text(encoding="utf-8"))
