"""Charts by calendar day (UTC) for templates/parts/chart.html: a plot, and a table of the same figures. Pure.

As delivery's charts, but that each step is a day of UTC in every viewer's zone: bills are made by those.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final, NamedTuple

Value = int | None
GAP: Final = "–"


class DaySeries(NamedTuple):
    """One row of bars: a figure, or None, for each day."""

    label: str
    values: Sequence[Value]
    url: str = ""


class DayRow(NamedTuple):
    """A row of the table."""

    at: datetime
    url: str
    cells: list[str]


@dataclass(frozen=True)
class DayChart:
    """A chart of bars. name: its id in the page; unit: of the figures. Raises ValueError where a series has another
    length than there are days."""

    name: str
    title: str
    unit: str
    dates: Sequence[date]
    series: Sequence[DaySeries]
    nothing: str = "Nothing was counted in this time."

    days = True
    kind = "bars"
    markers = ()
    bands = ()

    def __post_init__(self) -> None:
        if any(len(one.values) != len(self.dates) for one in self.series):
            raise ValueError(f"{self.name}: {len(self.dates)} days, but not as many figures")

    @property
    def empty(self) -> bool:
        """Whether there is no figure at all."""
        return all(value is None for one in self.series for value in one.values)

    @property
    def rows(self) -> Iterator[DayRow]:
        """The table, the first day first."""
        for place, day in enumerate(self.dates):
            values = [one.values[place] for one in self.series]
            yield DayRow(_midnight(day), "", [GAP if value is None else f"{value:,}" for value in values])

    @property
    def json(self) -> str:
        """What hpns/static/hpns/chart.js draws; times are seconds since 1970."""
        data = {
            "kind": self.kind,
            "unit": self.unit,
            "days": True,
            "steps": [int(_midnight(day).timestamp()) for day in self.dates],
            "series": [{"label": one.label, "values": list(one.values)} for one in self.series],
            "markers": [],
            "bands": [],
        }
        return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
