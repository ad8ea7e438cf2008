"""Template tags of what is known of pushes, for pages of apps below this one: `{% load insight %}`."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.template.context import Context
from django.utils import timezone

from delivery.insight import server_health as health
from delivery.insight.server_health import ServerHealth
from delivery.insight.summary import Clock, summarise
from delivery.pages import spans
from delivery.pages.filters import COOKIE, Filters, parse
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


@register.simple_tag(takes_context=True)
def clock(context: Context, at: datetime) -> str:
    """A time in the viewer's zone: of today as 09:14, an earlier one with its day."""
    name = context["request"].COOKIES.get(COOKIE, "")
    return Clock(timezone.now(), spans.zone_of(name) or ZoneInfo("UTC")).tell(at)
