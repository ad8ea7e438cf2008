"""Template tags of what is known of pushes, for pages of apps below this one: `{% load insight %}`."""

from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.template.context import Context
from django.utils import timezone
from django.utils.safestring import SafeString

from delivery.insight import server_health as health
from delivery.insight.server_health import ServerHealth
from delivery.insight.summary import Clock, summarise
from delivery.pages import spans
from delivery.pages.filters import COOKIE, Filters, parse
from delivery.pages.overview_splits import Group, Split
from delivery.pages.overview_tables import Links
from tenants.models import Customer, Server

register = template.Library()


@register.simple_tag
def server_health(customer: Customer, server: Server) -> ServerHealth:
    """How a server does."""
    return health.read(customer, server)


@register.simple_tag(takes_context=True)
def day_sentence(context: Context, found: Any, **filters: str) -> dict[str, Any]:
    """The sentence of parts/sentence.html on what has a `day` and `troubles`, such as a ServerHealth; filters: server=
    or app=, as an address has them."""
    request = context["request"]
    asked: Filters = parse(request)
    asked.values.update({name: str(value) for name, value in filters.items()})
    links = Links(request.customer.slug, asked)
    sentence = links.sentence(summarise(found.day.counts, "in the last 24 hours", Clock(found.day.end, asked.zone)))
    if found.troubles:
        sentence |= {"kind": found.troubles[0].mark, "advice": ""}
    return sentence


@register.simple_tag
def split_rows(split: Split) -> SafeString:
    """The rows of a split's table: dozens on a page, which were half of what Django's templates did for it."""
    return SafeString("".join([_split_row(escape(split.column), group) for group in split.groups]))


def _split_row(column: str, group: Group) -> str:
    """A row; what is not a number of ours is escaped here."""
    totals = group.totals
    name = f'<bdi title="{escape(group.name)}">{escape(group.name)}</bdi>'
    failed = "0"
    if totals.failed:
        linked = _linked(f"{totals.failed:,}", group.failed_url, ' class="bad"')
        failed = linked if group.failed_url else f'<strong class="bad">{totals.failed:,}</strong>'
    return f"""
<tr><td data-label="{column}">{_linked(name, group.url)}</td>
<td data-label="Pushes" class="number">{_linked(f"{totals.pushes:,}", group.pushes_url)}</td>
<td data-label="Handed off" class="number">{escape(group.handed_off)}</td>
<td data-label="Failed" class="number">{failed}</td>
<td data-label="Acked" class="number">{escape(group.acked)}</td></tr>"""


def _linked(html: str, url: str, attributes: str = "") -> str:
    return f'<a{attributes} href="{escape(url)}">{html}</a>' if url else html


@register.simple_tag(takes_context=True)
def clock(context: Context, at: datetime) -> str:
    """A time in the viewer's zone: of today as 09:14, an earlier one with its day."""
    name = context["request"].COOKIES.get(COOKIE, "")
    return Clock(timezone.now(), spans.zone_of(name) or ZoneInfo("UTC")).tell(at)
