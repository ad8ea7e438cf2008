"""The charts of the delivery page: pushes by what became of them, and both latencies, over time."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from delivery.insight.charts import Band, Chart, Kind, Marker, Series, Value
from delivery.pages.figures import Figures, Latencies, Totals, percentiles
from delivery.pages.filters import FAILURES
from delivery.pages.overview_tables import Links

NAMES = ("p50", "p95", "p99")
DAY = timedelta(days=1)


def charts(figures: Figures, links: Links, markers: Sequence[Marker] = (), bands: Sequence[Band] = ()) -> list[Chart]:
    """The charts, in the order in which they are shown, each with the markers and bands."""
    steps = list(figures.steps)
    ends = [*steps[1:], links.filters.end]
    addresses = [
        links.pushes(start=max(start, links.filters.start), end=end) for start, end in zip(steps, ends, strict=True)
    ]
    span = links.filters.span
    by = _step_words(span.step)
    by_latency = "by day (UTC)" if span.latency_step == DAY else by

    def series(label: str, of: Callable[[Totals], int], outcome: str) -> Series:
        # No push is no gap: it is known that there was none.
        values = [of(figures.by_step.get(at, Totals())) for at in steps]
        return Series(label, values, links.pushes(outcome=outcome))

    found = [
        Chart(
            "pushes",
            f"Pushes by what became of them, {by}",
            "pushes",
            steps,
            (
                series("Handed off", lambda sums: sums.sent, "sent"),
                series("Failed", lambda sums: sums.failed, FAILURES),
                series("Device gone", lambda sums: sums.gone, "gone"),
            ),
            kind=Kind.BARS,
            markers=markers,
            bands=bands,
            links=addresses if all(addresses) else (),
        )
    ]
    for name, title, of in (
        ("handoff", "Time from our door to Apple or Google", lambda latencies: latencies.handoff),
        ("receipt", "Time from our door to the phone's receipt", lambda latencies: latencies.receipt),
    ):
        curves = _percentiles(figures, figures.latency_steps, of)
        found.append(
            Chart(name, f"{title}, {by_latency}", "ms", figures.latency_steps, curves, markers=markers, bands=bands)
        )
    return found


def _percentiles(
    figures: Figures, steps: Sequence[datetime], of: Callable[[Latencies], Mapping[int, int]]
) -> tuple[Series, ...]:
    nothing = Latencies({}, {})
    values: list[tuple[Value, ...]] = [percentiles(of(figures.latencies_by_step.get(at, nothing))) for at in steps]
    return tuple(Series(name, [each[place] for each in values]) for place, name in enumerate(NAMES))


def _step_words(step: timedelta) -> str:
    if step == DAY:
        return "by day"
    minutes = int(step.total_seconds() // 60)
    if minutes == 1:
        return "by minute"
    return f"by {minutes} minutes" if minutes < 60 else "by hour" if minutes == 60 else f"by {minutes // 60} hours"
