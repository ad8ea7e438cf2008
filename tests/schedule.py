"""Which process of tests/forks.py, or of pytest-xdist, runs which test files, and which are begun first.

A file stays in one process, because its tests share what they have started; files that share a whole service stay
together too, because each further copy of it costs ten seconds of processor time.
"""

from collections import Counter
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
    ("tests/hpns/test_front_door_tls",),
    ("tests/browser/questions/",),
    ("tests/test_permissions",),
    ("tests/hpns/local/test_run",),
    ("tests/browser/test_promise_tour",),
    ("tests/browser/test_every_page",),
    ("tests/vectors/",),
    ("tests/hpns/test_front_door",),
    ("tests/delivery/http2/", "tests/delivery/providers/", "tests/delivery/worker/"),
    # The rest of the browser's, with one browser for a group: sixty seconds of processor time each.
    ("tests/browser/test_parts", "tests/browser/test_licence", "tests/browser/test_keyboard"),
    ("tests/browser/test_charts", "tests/browser/test_search", "tests/browser/test_tight"),
    ("tests/browser/test_delivery", "tests/browser/test_pushes", "tests/browser/test_devices"),
    ("tests/browser/test_status", "tests/browser/test_troubled_pages", "tests/browser/test_usage"),
    ("tests/browser/test_s", "tests/browser/test_invoices"),
    ("tests/browser/test_tour",),
    ("tests/browser/",),
    ("tests/hpns/local/test_stores",),
    ("tests/delivery/sandbox/",),
    ("tests/billing/sla/test_rounds",),
)


class Together(LoadFileScheduling):  # type: ignore[misc]
    """Files as a whole, and those of one entry of TOGETHER with each other."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


def scope(nodeid: str) -> str:
    """What the test `nodeid` stays together with: an entry of TOGETHER by its first path, else its file."""
    return next((begins[0] for begins in TOGETHER if nodeid.startswith(begins)), nodeid.partition("::")[0])


def order(items: list[pytest.Item]) -> None:
    """Sort collected tests into the order of TOGETHER; all others follow, files of many tests first."""
    places = {begins[0]: place for place, begins in enumerate(TOGETHER)}
    scopes = [scope(item.nodeid) for item in items]
    counts = Counter(scopes)
    place = {name: (places.get(name, len(places)), 0 if name in places else -counts[name]) for name in counts}
    files = {name: index for index, name in enumerate(dict.fromkeys(scopes))}
    items.sort(key=lambda item: (*place[name := scope(item.nodeid)], files[name]))
