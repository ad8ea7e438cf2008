"""Tags and filters of base.html and the parts: `{% load pages %}`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from html import escape
from typing import Any, Final

from django import template
from django.template.context import Context
from django.template.loader_tags import BLOCK_CONTEXT_KEY
from django.urls import reverse
from django.utils.safestring import SafeString

from delivery.insight.charts import Chart, TableRow
from delivery.insight.durations import exactly, lasting
from hpns.pages.navigation import Link, links

register = template.Library()
# Milliseconds as people read them: 1234 -> "1,234 ms", and rounded "1.2 s".
register.filter("exactly", exactly)
register.filter("lasting", lasting)


@register.simple_tag(takes_context=True)
def navigation(context: Context) -> list[Link]:
    """The entries of the customer's navigation; none on pages without a customer or a request."""
    request = context.get("request")
    return links(request) if request is not None else []


@register.simple_tag(takes_context=True)
def block_again(context: Context, name: str) -> str:
    """What the page has put into the block `name`, once more: a page that names itself once has its heading, too."""
    blocks = context.render_context.get(BLOCK_CONTEXT_KEY)
    block = blocks.get_block(name) if blocks is not None else None
    return SafeString(block.nodelist.render(context).strip()) if block is not None else ""


@register.filter
def figure(value: Any) -> str:
    """A number as people read it: 12480 -> "12,480", 99.98 -> "99.98"; anything else as it is."""
    return f"{value:,}" if isinstance(value, int | float) else str(value)


# What texts call pages of the service that everybody may read, or that lead on to one's own.
_NAMED: Final = {
    "the status page of the push service": "status",
    "the subscription page": "account-start",
}


@register.filter
def named_pages(text: str) -> SafeString:
    """A text with a link at each page of the service that it names."""
    found = escape(text)
    for words, name in _NAMED.items():
        found = found.replace(words, f'<a href="{reverse(name)}">{words}</a>')
    return SafeString(found)


@register.simple_tag
def chart_rows(chart: Chart) -> SafeString:
    """The rows of a chart's table: hundreds on a page, which Django's templates would take a third of its time for."""
    days = bool(getattr(chart, "days", False))
    return SafeString("".join(_chart_row(row, days=days) for row in chart.rows))  # each part is escaped there


def _chart_row(row: TableRow, *, days: bool) -> str:
    at: str = f"{row.at:%a} {row.at.day} {row.at:%b %Y}" if days else exact_time(row.at)
    if row.url and not days:
        at = f'<a href="{escape(row.url)}">{at}</a>'
    cells = "".join([f'<td class="number">{cell if cell.isdigit() else escape(cell)}</td>' for cell in row.cells])
    return f'\n<tr><th scope="row">{at}</th>{cells}</tr>'


# A page shows the same moments in each of its charts.
@register.filter
@lru_cache(maxsize=1024)
def exact_time(at: datetime) -> SafeString:
    """A moment as parts/time.html has it, exact: where there are hundreds of them, for a tenth of the cost."""
    utc = at.astimezone(UTC)
    day = f"{utc.day} {utc:%b %Y, %H:%M}"
    return SafeString(  # digits and names of months
        f'<time datetime="{utc.isoformat()}" title="{day}:{utc:%S} UTC" data-time="exact">{day} UTC</time>'
    )


@register.filter
def item(row: Sequence[Any], place: int) -> Any:
    """What stands at a place of a sequence; None where it has ended."""
    return row[place] if place < len(row) else None
