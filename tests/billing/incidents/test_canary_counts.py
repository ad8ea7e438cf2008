"""What the canary counts for in the SLA, as the parts of billing are wired."""

from datetime import timedelta

import pytest

from billing import wiring
from billing.sla import judging, keeping
from billing.sla.sources import wired
from tests.billing.incidents.canary_world import MINUTE, NOW, beats

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


def test_minutes_before_the_canarys_first_push_are_not_bad_and_later_ones_without_it_are() -> None:
    wiring.wire()  # other tests leave sources of their own
    assert wired().canary(NOW - timedelta(hours=2), NOW) is None
    beats([NOW])
    seen = keeping.observed(NOW.date(), NOW - timedelta(hours=2), NOW + 2 * MINUTE, wired())
    nothing = keeping.selectors.MinuteCounts()
    rows = {at: seen.judged(at, nothing) for at in (NOW - MINUTE, NOW, NOW + MINUTE)}
    assert [row.canary for row in rows.values()] == [judging.OFF, judging.GOOD, judging.MISSING]
    assert [row.verdict for row in rows.values()] == [judging.OK, judging.OK, judging.BAD]
