"""The form of a row of differences.py: what we do on purpose that the recorded reference does not.

Invariant: what a row says is checked. A vector that the row is about must do what the row says, and nothing else that
is not as recorded.
"""

import re
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Expected:
    """What a replay must show.

    requests: to providers; grants: to Google's token endpoint (ranges where the clock decides); code: the beginning of
    a FAIL's text, "" for any; verdict: several where the push's type decides; encoded: the path is not compared, it
    only has to be one segment.
    """

    status: int
    verdict: str | tuple[str, ...] | None
    requests: int | range
    grants: int | range
    code: str = ""
    encoded: bool = False


@dataclass(frozen=True, eq=False)
class Difference:
    """One row: `tag`, or the `names` of vectors; `about` narrows it to the names in which this expression is found.

    `instead` says what we do of all that the row is about, as a rule, and not of the recorded examples alone:
    test_rules.py tries the rules on what was not recorded. `members` are dotted paths into the JSON that a provider
    is sent, which may differ; `expected` has the members of Expected that are other than recorded.
    """

    instead: str
    why: str
    members: tuple[str, ...] = ()
    tag: str = ""
    names: tuple[str, ...] = ()
    about: str = ""
    providers: tuple[str, ...] = ("apns", "fcm")
    expected: dict[str, Any] = field(default_factory=dict)

    def covers(self, name: str, tags: tuple[str, ...]) -> bool:
        """Tell whether the row is about a vector of this name and these tags."""
        named = name in self.names or self.tag in tags
        return named and re.search(self.about, name) is not None
