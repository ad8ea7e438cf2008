"""What a push may cost at most, held against another service: the marks, and the table of what was measured. Pure.

The marks against the last commit that was measured side by side with the reference push proxy (Go) are the marks
against that proxy, worked out with the ratio that was found then. Invariant: nothing that was not measured is met.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from statistics import fmean, median
from typing import Final

from tests.bench import figures
from tests.bench.cases import IDLE, SLOW_MS
from tests.bench.window import Window

SLOW: Final = f"{SLOW_MS}ms"
RATIOS: Final[Mapping[str, Mapping[str, float]]] = {
    "reference": {
        "*-1": 1.2,
        "*-64": 0.7,
        "*-256": 0.55,
        f"*-open-50-{SLOW}": 1.3,
        f"*-open-200-{SLOW}": 1.0,
        f"*-open-600-{SLOW}": 0.7,
        f"*-open-1200-{SLOW}": 0.6,
        "*-tls-100": 1.2,
        f"*-tls-100-{SLOW}": 1.0,
    },
    "eaad63e": {
        "*-1": 0.40,
        "*-64": 0.70,
        "*-256": 0.75,
        f"*-open-50-{SLOW}": 0.47,
        f"*-open-200-{SLOW}": 0.53,
        f"*-open-600-{SLOW}": 0.53,
        f"*-open-1200-{SLOW}": 0.55,
        "*-tls-100": 0.55,
        f"*-tls-100-{SLOW}": 0.68,
    },
}
"""Highest ratio of CPU a push, by the name or the commit of the other service and the case."""
IDLE_MS, IDLE_MIB, ADDED_MS = 8.0, 250.0, 4.0
"""CPU a second and memory of all processes when there is nothing to do; what is added to the provider's time (p50)."""
# The added time counts where many servers send at random moments.
ADDED_IN: Final = f"*-open-600-{SLOW}"


def of(name: str, commit: str = "", every: float = 0.0) -> Mapping[str, float]:
    """The marks against a service, {} where there are none. every: one mark for all cases in place of them."""
    if every:
        return {"*": every}
    return next((marks for known, marks in RATIOS.items() if known == name or commit.startswith(known)), {})


def table(windows: Sequence[Window], ours: str, theirs: str, marks: Mapping[str, float]) -> str:
    """Each case with what it costs both services, the ratio, its mark, and whether that is met; in Markdown."""
    rows = []
    for case in dict.fromkeys(window.case for window in windows):
        rounds = figures.paired(windows, case, ours, theirs)
        if not rounds:
            rows.append([case, "", "", "", "", "not measured"])
            continue
        mine, other = [a for a, _ in rounds], [b for _, b in rounds]
        if case == IDLE:
            rows += [_idle_cpu(mine, other), _idle_memory(mine, other)]
            continue
        ratios = [figures.cost(a) / figures.cost(b) for a, b in rounds]
        mark = next((value for pattern, value in marks.items() if fnmatchcase(case, pattern)), 0.0)
        rows.append(
            [
                case,
                *(_push(some) for some in (mine, other)),
                f"**{median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f})",
                *(_held(median(ratios), mark, f"<= {mark:.2f}") if mark else ("", "")),
            ]
        )
        if fnmatchcase(case, ADDED_IN):
            rows.append(_added(case, mine, other))
    head = ["case", f"us a push, {ours}", f"us a push, {theirs}", "ratio (range)", "mark", "met"]
    return figures.markdown(head, rows)


def _push(some: Sequence[Window]) -> str:
    middle = sorted(some, key=figures.cost)[(len(some) - 1) // 2]
    return f"{median(map(figures.cost, some)):.0f} ({_by_group(figures.costs(middle), 1, 0)})"


def _idle_cpu(mine: Sequence[Window], other: Sequence[Window]) -> list[str]:
    # The windows follow each other at once: the mean is what the whole time cost.
    sums = [fmean(map(figures.cost, some)) / 1000 for some in (mine, other)]
    texts = []
    for total, some in zip(sums, (mine, other), strict=True):
        groups = {group: fmean(figures.costs(one).get(group, 0.0) for one in some) for group in some[0].cpu}
        texts.append(f"{total:.1f} ms a second ({_by_group(groups, 1000, 1)})")
    return ["idle, CPU", *texts, _over(*sums), *_held(sums[0], IDLE_MS, f"<= {IDLE_MS:.0f} ms a second")]


def _idle_memory(mine: Sequence[Window], other: Sequence[Window]) -> list[str]:
    sums = [sum(some[-1].pss.values()) / 2**20 for some in (mine, other)]
    groups = [_by_group(some[-1].pss, 2**20, 0) for some in (mine, other)]
    texts = [f"{total:.0f} MiB ({text})" for total, text in zip(sums, groups, strict=True)]
    return ["idle, memory (PSS)", *texts, _over(*sums), *_held(sums[0], IDLE_MIB, f"<= {IDLE_MIB:.0f} MiB")]


def _added(case: str, mine: Sequence[Window], other: Sequence[Window]) -> list[str]:
    added = [median(one.p50_ms for one in some) - SLOW_MS for some in (mine, other)]
    texts = [f"+{one:.1f} ms" for one in added]
    return [f"{case}, latency added (p50)", *texts, "", *_held(added[0], ADDED_MS, f"<= +{ADDED_MS:.0f} ms")]


def _by_group(values: Mapping[str, float], unit: float, digits: int) -> str:
    return ", ".join(f"{group} {value / unit:.{digits}f}" for group, value in values.items())


def _over(after: float, before: float) -> str:
    return f"{after / before:.2f}" if before else ""


def _held(value: float, mark: float, text: str) -> tuple[str, str]:
    return text, "met" if value <= mark else "**not met**"
