"""The state of the service for the foot of every page, as it was published last; read once in a while for all pages."""

import time
from typing import Any, Final

from billing.incidents import publishing
from billing.incidents.rendering import KINDS

# Seconds for which a process keeps it: a page must not ask for it each time, nor wait for a Valkey that hangs.
SECONDS: Final = 20.0
_MARKS: Final = {"good": "good", "warn": "warn", "bad": "bad", "busy": "warn", "none": "idle"}
_kept: tuple[float, dict[str, Any]] = (0.0, {})


def current() -> dict[str, Any]:
    """`sentence` and `kind` (of templates/parts/status.html); empty where nobody has published it lately."""
    global _kept  # noqa: PLW0603  one for the process
    until, found = _kept
    if time.monotonic() >= until:
        made = publishing.kept()
        found = (
            {"sentence": made.sentence, "kind": _MARKS[KINDS[made.state]]} if made and made.state != "unknown" else {}
        )
        _kept = (time.monotonic() + SECONDS, found)
    return found
