"""From windows to figures: medians, spreads, ratios and tables. Pure.

Invariant: void windows enter no figure, and every table says how many there were.
"""

from collections.abc import Sequence
from statistics import median

import msgspec

from tests.bench.cases import IDLE
from tests.bench.window import Window


class Figure(msgspec.Struct, frozen=True):
    """A case of one service. CPU in microseconds a push (idle: a second): each group, all together, and all in the
    cheapest and dearest window; unit: all together over the load's own CPU a push (0 where the load is not wrk); pss
    in bytes."""

    case: str
    service: str
    groups: dict[str, float]
    all: float
    least: float
    most: float
    unit: float
    load: float
    rate: float
    p50_ms: float
    p99_ms: float
    pss: int
    windows: int
    void: int
    opened: float


def cost(window: Window) -> float:
    """Microseconds of CPU a push, all processes together; pushes as the provider counted them. Idle: a second."""
    return sum(costs(window).values())


def costs(window: Window) -> dict[str, float]:
    """The same by group of processes."""
    by = window.seconds if window.case == IDLE else window.provided
    return {group: spent / by * 1e6 for group, spent in window.cpu.items()}


def load_cost(window: Window) -> float:
    """Microseconds of the load's own CPU a push, which it counts itself."""
    return window.load_cpu / window.answered * 1e6 if window.answered else 0.0


def figure(windows: Sequence[Window], wrk: bool = True) -> Figure | None:
    """The median window by CPU a push (the lower of two), with the spread over all; None when all are void."""
    good = sorted((window for window in windows if not window.void), key=cost)
    if not good:
        return None
    middle = good[(len(good) - 1) // 2]
    return Figure(
        case=middle.case,
        service=middle.service,
        groups=costs(middle),
        all=cost(middle),
        least=cost(good[0]),
        most=cost(good[-1]),
        unit=cost(middle) / load_cost(middle) if wrk else 0.0,
        load=load_cost(middle),
        rate=middle.answered / middle.seconds,
        p50_ms=middle.p50_ms,
        p99_ms=middle.p99_ms,
        pss=sum(middle.pss.values()),
        windows=len(good),
        void=len(windows) - len(good),
        opened=middle.answered / middle.opened if middle.opened else 0.0,
    )


def figures(windows: Sequence[Window]) -> list[Figure]:
    """The figures of a run, in its order; cases without a good window are left out."""
    grouped: dict[tuple[str, str], list[Window]] = {}
    for window in windows:
        grouped.setdefault((window.case, window.service), []).append(window)
    made = [figure(group, wrk=_is_wrk(case)) for (case, _), group in grouped.items()]
    return [one for one in made if one is not None]


def _is_wrk(case: str) -> bool:
    return case != IDLE and "-open-" not in case and "-tls-" not in case


def voids(windows: Sequence[Window]) -> list[str]:
    """A line for each void window."""
    return [f"void: {window.case} of {window.service}: {window.void}" for window in windows if window.void]


# --- Tables, in Markdown: they are read at a terminal as well.


def table(made: Sequence[Figure]) -> str:
    """The figures as a table."""
    groups = list(dict.fromkeys(group for one in made for group in one.groups))
    head = ["case", "service", *groups, "**all** (spread)", "wrk units", "load", "pushes/s", "p50 / p99 ms", "MiB"]
    rows = []
    for one in made:
        name = one.case + (f" ({one.opened:.1f} pushes a connection)" if one.opened else "")
        name += " (us a second)" if one.case == IDLE else ""
        rows.append(
            [
                name,
                one.service,
                *(f"{one.groups[group]:.0f}" if group in one.groups else "" for group in groups),
                f"**{one.all:.0f}** ({one.least:.0f}-{one.most:.0f})" + (f", {one.void} void" if one.void else ""),
                f"{one.unit:.1f}" if one.unit else "",
                f"{one.load:.0f}",
                f"{one.rate:,.0f}",
                f"{one.p50_ms:.1f} / {one.p99_ms:.1f}",
                f"{one.pss / 2**20:.0f}",
            ]
        )
    return markdown(head, rows)


def compared(before: Sequence[Window], after: Sequence[Window]) -> str:
    """Two runs as a table of ratios (after to before) for the cases and services in both; < 1 is cheaper.

    The range of a ratio goes from the cheapest window after over the dearest before to the reverse.
    """
    known = {(one.case, one.service): one for one in figures(before)}
    rows = []
    for new in figures(after):
        old = known.get((new.case, new.service))
        if old is not None:
            rows.append(
                [
                    *(new.case, new.service, f"{old.all:.0f}", f"{new.all:.0f}"),
                    f"**{new.all / old.all:.2f}** ({new.least / old.most:.2f}-{new.most / old.least:.2f})",
                    f"{new.unit / old.unit:.2f}" if old.unit and new.unit else "",
                    *(_ratio(a, b) for a, b in ((new.rate, old.rate), (new.p99_ms, old.p99_ms), (new.pss, old.pss))),
                ]
            )
    head = ["case", "service", "us before", "us after", "**CPU ratio** (range)", "units", "pushes/s", "p99", "memory"]
    return markdown(head, rows)


def alternated(windows: Sequence[Window], ours: str, theirs: str) -> str:
    """Alternating windows as a table: per case the ratio of each round's two windows (ours to theirs), the median of
    them and their range. A round with a void window counts for nothing."""
    rows = []
    for case in dict.fromkeys(window.case for window in windows):
        rounds = [pair for pair in paired(windows, case, ours, theirs) if cost(pair[1])]
        if rounds:
            ratios = [cost(a) / cost(b) for a, b in rounds]
            rows.append(
                [
                    case,
                    f"**{median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f})",
                    str(len(rounds)),
                    f"{median([cost(a) for a, _ in rounds]):.0f}",
                    f"{median([cost(b) for _, b in rounds]):.0f}",
                    " / ".join(f"{median([_rate(pair[i]) for pair in rounds]):,.0f}" for i in (0, 1)),
                    " / ".join(f"{median([pair[i].p99_ms for pair in rounds]):.1f}" for i in (0, 1)),
                ]
            )
    head = ["case", f"**{ours} to {theirs}**", "rounds", f"us {ours}", f"us {theirs}", "pushes/s", "p99 ms"]
    return markdown(head, rows)


def paired(windows: Sequence[Window], case: str, ours: str, theirs: str) -> list[tuple[Window, Window]]:
    """The rounds of a case in which neither window is void, ours first."""
    mine, other = ([one for one in windows if (one.case, one.service) == (case, name)] for name in (ours, theirs))
    return [pair for pair in zip(mine, other, strict=False) if not pair[0].void and not pair[1].void]


def _rate(window: Window) -> float:
    return window.answered / window.seconds


def _ratio(after: float, before: float) -> str:
    return f"{after / before:.2f}" if before else ""


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
