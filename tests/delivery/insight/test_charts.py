"""Charts as they are described."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.template.loader import render_to_string

from delivery.insight.charts import Band, Chart, Kind, Marker, MarkerKind, Series, text

AT = datetime(2026, 9, 21, 14, tzinfo=UTC)


def chart(**more: object) -> Chart:
    """A chart of two steps."""
    series = [Series("</script><b>", [1, None]), Series("Failed", [0.126, 12480])]
    return Chart("a", "Pushes", "pushes", [AT, AT + timedelta(hours=1)], series, **more)  # type: ignore[arg-type]


def test_figures_are_written_as_people_read_them_and_a_gap_is_no_zero() -> None:
    assert [text(value) for value in (12480, 99.976, 1.5, 100.0, 0, None)] == [
        "12,480",
        "99.98",
        "1.5",
        "100",
        "0",
        "–",
    ]


def test_what_is_drawn_is_what_the_table_says() -> None:
    data = json.loads(chart(kind=Kind.BARS, bands=[Band(AT, None, "slow")]).json)
    assert data["steps"] == [AT.timestamp(), AT.timestamp() + 3600]
    assert [one["values"] for one in data["series"]] == [[1, None], [0.13, 12480]]
    assert data["bands"] == [{"start": AT.timestamp(), "end": None, "label": "slow"}]
    assert [row.cells for row in chart().rows] == [["1", "0.13"], ["–", "12,480"]]


def test_names_cannot_break_out_of_the_page() -> None:
    markers = [Marker(AT, '"><script>1</script>', MarkerKind.KEY, "/x?a=1&b=2")]
    html = render_to_string("parts/chart.html", {"chart": chart(markers=markers, links=["/p?x=1&y", "/q"])})
    assert "<script" not in html
    assert "<b>" not in html
    assert 'href="/p?x=1&amp;y"' in html


@pytest.mark.parametrize(
    "more", [{"links": ["/one"]}, {"series": [Series("x", [1])]}, {"series": [Series("x", [1, 2])] * 5}]
)
def test_a_chart_that_does_not_add_up_is_refused(more: dict[str, object]) -> None:
    values = {"name": "a", "title": "t", "unit": "u", "steps": [AT, AT], "series": [], **more}
    with pytest.raises(ValueError, match="a: "):
        Chart(**values)  # type: ignore[arg-type]


def test_a_chart_without_a_figure_is_empty() -> None:
    assert Chart("a", "t", "u", [AT], [Series("x", [None])]).empty
    assert not Chart("a", "t", "u", [AT], [Series("x", [0])]).empty
