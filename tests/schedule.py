"""Which process of pytest-xdist runs which test files, and which are begun first.

A file stays in one process, because its tests share what they have started; files that share a whole service stay
together too, because each further copy of it costs ten seconds of processor time.
"""

from typing import Final

import pytest
from xdist.scheduler import LoadFileScheduling

# Beginnings of paths whose tests run in one process, the longest-running first: what begins last should be short, or
# it runs alone at the end.
TOGETHER: Final = (
    (
        *("tests/faults/test_durability", "tests/faults/test_full_and_silent", "tests/faults/test_postgres_away"),
        *("tests/faults/test_power_cut", "tests/faults/test_own_delivery"),
    ),
    ("tests/faults/", "tests/test_flow"),
    ("tests/browser/test_promise_tour",),
    ("tests/browser/test_tour",),
    ("tests/browser/questions/",),
    ("tests/test_permissions",),
    ("tests/hpns/local/test_run",),
    # The rest of the browser's, with one browser for a group.
    ("tests/browser/test_every_page", "tests/browser/test_troubled_pages", "tests/browser/test_s"),
    ("tests/browser/",),
    ("tests/hpns/test_front_door",),
    ("tests/vectors/",),
    ("tests/hpns/local/test_stores",),
    ("tests/delivery/http2/", "tests/delivery/providers/", "tests/delivery/worker/"),
    ("tests/delivery/sandbox/",),
)


class Together(LoadFileScheduling):  # type: ignore[misc]
    """Files as a whole, and those of one entry of TOGETHER with each other."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


def scope(nodeid: str) -> str:
    """What the test `nodeid` stays together with: an entry of TOGETHER by its first path, else its file."""
    return next((begins[0] for begins in TOGETHER if nodeid.startswith(begins)), nodeid.partition("::")[0])


def order(items: list[pytest.Item]) -> None:
    """Sort collected tests into the order of TOGETHER; all others follow as they were."""
    places = {begins[0]: place for place, begins in enumerate(TOGETHER)}
    items.sort(key=lambda item: places.get(scope(item.nodeid), len(places)))
