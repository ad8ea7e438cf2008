"""Charts of figures over time, as templates/parts/chart.html shows them: a plot, and a table of the same figures. Pure.

    curves = Series("Handed off", sent), Series("Failed", failed)
    Chart("pushes", "Pushes by what became of them", "pushes", hours, curves, kind=Kind.BARS)

A step without a figure (None) is a gap in the plot and a dash in the table, never a zero.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

Value = float | None
GAP: Final = "–"


class Kind(StrEnum):
    """How the series are drawn."""

    LINES = "lines"
    BARS = "bars"
    """Stacked: the series add up."""


class MarkerKind(StrEnum):
    """What a marker speaks of."""

    VERSION = "version"
    KEY = "key"
    CREDENTIAL = "credential"
    NETWORK = "network"
    INCIDENT = "incident"


@dataclass(frozen=True)
class Marker:
    """A moment that explains a change of the curve: a vertical line with a number, and its words in a list below.

    label: a sentence without its full stop, such as "Key ABC123 was revoked"; url: where more stands, "" for nowhere.
    """

    at: datetime
    label: str
    kind: MarkerKind
    url: str = ""


@dataclass(frozen=True)
class Band:
    """A span of time that stands out, such as an incident. end: None while it lasts."""

    start: datetime
    end: datetime | None
    label: str


@dataclass(frozen=True)
class Series:
    """One curve: a figure, or None, for each of the chart's steps. url: the pushes that it counts, "" for none."""

    label: str
    values: Sequence[Value]
    url: str = ""


class TableRow(NamedTuple):
    """A row of the table: when the step begins, where its pushes are listed, and its figures as text."""

    at: datetime
    url: str
    cells: list[str]


@dataclass(frozen=True)
class Chart:
    """A chart. At most four series can be told apart.

    name: its id in the page, letters and dashes; title: what and where; unit: of the figures, such as "pushes", "%" or
    "ms"; steps: when each begins, aware, ascending; links: for each step the address of its pushes, or nothing at all;
    nothing: what is said where there is no figure.
    Raises ValueError where series, links and steps differ in length, or there are more than four series.
    """

    name: str
    title: str
    unit: str
    steps: Sequence[datetime]
    series: Sequence[Series]
    kind: Kind = Kind.LINES
    markers: Sequence[Marker] = ()
    bands: Sequence[Band] = ()
    links: Sequence[str] = ()
    nothing: str = "Nothing was counted in this time."

    def __post_init__(self) -> None:
        lengths = {len(one.values) for one in self.series} | ({len(self.links)} if self.links else set())
        if lengths - {len(self.steps)}:
            raise ValueError(f"{self.name}: {len(self.steps)} steps, but {sorted(lengths)} figures or links")
        if len(self.series) > 4:
            raise ValueError(f"{self.name}: {len(self.series)} series cannot be told apart")

    @property
    def empty(self) -> bool:
        """Whether there is no figure at all."""
        return all(value is None for one in self.series for value in one.values)

    @property
    def rows(self) -> Iterator[TableRow]:
        """The table, the earliest step first."""
        for place, at in enumerate(self.steps):
            cells = [text(one.values[place]) for one in self.series]
            yield TableRow(at, self.links[place] if self.links else "", cells)

    @property
    def json(self) -> str:
        """The data as JSON: an attribute, since htmx is told to drop scripts of any kind from what it exchanges."""
        return json.dumps(self.data, separators=(",", ":"), ensure_ascii=False)

    @property
    def data(self) -> dict[str, Any]:
        """What hpns/static/hpns/chart.js draws, as JSON has it; times are seconds since 1970."""
        series = [{"label": one.label, "values": [_rounded(value) for value in one.values]} for one in self.series]
        markers = [{"at": _seconds(each.at), "label": each.label, "kind": each.kind.value} for each in self.markers]
        bands = [
            {"start": _seconds(each.start), "end": each.end and _seconds(each.end), "label": each.label}
            for each in self.bands
        ]
        steps = [_seconds(at) for at in self.steps]
        about = {"kind": self.kind.value, "unit": self.unit, "steps": steps}
        return {**about, "series": series, "markers": markers, "bands": bands}


def text(value: Value) -> str:
    """A figure as people read it: 12480 -> "12,480", 99.976 -> "99.98", None -> a dash."""
    if value is None:
        return GAP
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def _rounded(value: Value) -> Value:
    return value if value is None or isinstance(value, int) else round(value, 2)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
