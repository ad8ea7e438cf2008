"""The staff's view of the delivery log: to be read and searched, never changed, and quick with millions of rows.

What makes it quick: a list has a bound in time unless an id is looked for, nothing is counted to the end, and no filter
asks the table for its values.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property, reduce
from operator import or_
from typing import Any, Final

from django.conf import settings
from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from delivery import selectors
from delivery.models import Delivery
from delivery.outcomes import own
from delivery.providers import table
from tenants import keys
from tenants.admin import ReadOnlyAdmin
from tenants.admin.filters import TextFilter
from tenants.models import Customer, Server, ServerKey
from tenants.providers.table import PLATFORMS

# Rows that are counted; beyond, the planner's estimate is good enough.
COUNTED: Final = 2_000
DAYS_SHOWN: Final = 8
# Customers, servers or keys of one search.
NAMED_MOST: Final = 50
CODES: Final = sorted(table.CODES.union(own.REFUSALS))


def senders(term: str) -> Q | None:
    """The condition that pushes are of the customers, servers or keys that a text names; None: it names none."""
    if prefix := keys.prefix(term):
        return _of(Q(), ServerKey.objects.filter(prefix=prefix), "server__customer_id", "key_id")
    named = Q(name__iexact=term) | Q(name__icontains=term)
    customers = list(
        Customer.objects.filter(named | Q(slug__iexact=term)).order_by("pk").values_list("pk", flat=True)[:NAMED_MOST]
    )
    condition = Q(customer_id__in=customers) if customers else Q()
    return _of(condition, Server.objects.filter(named).exclude(customer_id__in=customers), "customer_id", "server_id")


def _of(condition: Q, rows: "QuerySet[Any]", customer: str, column: str) -> Q | None:
    """Or the pushes of these servers or keys. By their customers, too: the log's index begins with that."""
    found = list(rows.order_by("pk").values_list(customer, "pk")[:NAMED_MOST])
    if found:
        owners, ids = zip(*found, strict=True)
        condition |= Q(customer_id__in=set(owners), **{f"{column}__in": ids})
    return condition or None


class EstimatingPaginator(Paginator):  # type: ignore[type-arg]
    """A paginator that counts up to COUNTED rows and takes the planner's estimate of more."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, or about how many."""
        counted = selectors.count_up_to(self.object_list, COUNTED)  # type: ignore[arg-type]
        return counted if counted < COUNTED else max(COUNTED, selectors.estimate(self.object_list))  # type: ignore[arg-type]


class DayFilter(admin.SimpleListFilter):
    """When a push was accepted; the last 24 hours unless something else is chosen."""

    title = "day (UTC)"
    parameter_name = "day"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The last hour, and the days that are kept, as far as there is room for them."""
        today = timezone.now().astimezone(UTC).date()
        days = [today - timedelta(days=back) for back in range(min(DAYS_SHOWN, settings.RETENTION_DAYS + 1))]
        return [("hour", "Last hour"), *((day.isoformat(), f"{day:%a %d %b}") for day in days)]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """The same links as Django's, but the first is no list of all days."""
        for number, choice in enumerate(super().choices(changelist)):
            yield {**choice, "display": "Last 24 hours"} if number == 0 else choice

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
        """Any day's rows when an id is looked for: it is found by an index. Whose pushes are looked for, has many."""
        search = request.GET.get("q", "").strip()
        # With a NUL in it, Django's own form has left it out.
        if search and "\0" not in search and senders(search) is None:
            return queryset
        value = self.value() or ""
        if value == "hour":
            return queryset.filter(accepted_at__gte=timezone.now() - timedelta(hours=1))
        try:
            begin = datetime.fromisoformat(value).replace(tzinfo=UTC)
        except ValueError:
            return queryset.filter(accepted_at__gte=timezone.now() - selectors.DAY)
        return queryset.filter(accepted_at__gte=begin, accepted_at__lt=begin + selectors.DAY)


class OutcomeFilter(admin.SimpleListFilter):
    """The outcome of a push."""

    title = parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Every outcome that there is."""
        return [(outcome, outcome) for outcome in selectors.OUTCOMES]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
        """Rows of the chosen one."""
        return queryset.filter(outcome=self.value()) if self.value() else queryset


class CodeFilter(TextFilter):
    """The stable code of the verdict, of those that there are."""

    title = parameter_name = "code"
    suggested = CODES
    hint = "such as no_app"

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
        """Rows of the chosen one."""
        return queryset.filter(code=self.value()) if self.value() else queryset


class CustomerFilter(TextFilter):
    """The customer, by its slug."""

    title = parameter_name = "customer"
    hint = "its slug"

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
        """The pushes of the one that it names; none where it names nobody."""
        value = (self.value() or "").replace("\0", "").strip().lower()
        if not value:
            return queryset
        return queryset.filter(customer_id__in=list(Customer.objects.filter(slug=value).values_list("pk", flat=True)))


class PlatformFilter(OutcomeFilter):
    """The provider's platform; the platforms in full are the servers' own text."""

    title = parameter_name = "platform"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """By the beginnings of the labels."""
        return [*((head, f"{head}…") for head in PLATFORMS), ("other", "other")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
        """Rows of the chosen one."""
        value = self.value()
        if value in PLATFORMS:
            return queryset.filter(platform__startswith=value)
        if value == "other":
            return queryset.exclude(reduce(or_, (Q(platform__startswith=head) for head in PLATFORMS)))
        return queryset


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """One line per push; a page per push with its attempts."""

    # What somebody looks for comes before what is beyond the edge of a narrow screen.
    list_display = ("when", "outcome", "code", "customer", "server", "platform", "type", "answer", "latency", "count")
    list_filter = (DayFilter, CustomerFilter, CodeFilter, OutcomeFilter, PlatformFilter)
    list_select_related = ("customer", "server__customer")
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    paginator = EstimatingPaginator
    # An order by anything else would sort the whole day.
    sortable_by = ()
    search_fields = ("trace", "ack_id", "post_id")
    search_help_text = (
        "A trace id, an ack_id or a post_id, of any day. Of the day that is chosen: a customer's name or slug, a "
        "server's name, or a key's beginning (hk_...)."
    )
    fields = (
        *("trace", "accepted", "ended", "latency", "customer", "server", "key", "app", "platform", "type", "sub_type"),
        *("ack_id", "post_id", "mattermost_id", "device", "size", "outcome", "code", "answer", "attribution", "counts"),
        *("count", "tries"),
    )
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Delivery]", search_term: str
    ) -> "tuple[QuerySet[Delivery], bool]":
        """Whole ids, and whose pushes they are: a part of an id would be looked for in every row."""
        term = search_term.strip()
        if not term:
            return queryset, False
        named = senders(term)
        return (queryset & selectors.find(term) if named is None else queryset.filter(named)), False

    @admin.display(description="time (UTC)")
    def when(self, row: Delivery) -> str:
        """When it was accepted."""
        return f"{row.accepted_at.astimezone(UTC):%d %b %H:%M:%S}"

    @admin.display(description="accepted at (UTC)")
    def accepted(self, row: Delivery) -> str:
        """To the millisecond."""
        return _moment(row.accepted_at)

    @admin.display(description="ended at (UTC)")
    def ended(self, row: Delivery) -> str:
        """To the millisecond."""
        return _moment(row.ended_at)

    @admin.display(description="latency")
    def latency(self, row: Delivery) -> str:
        """From acceptance to the end."""
        return f"{(row.ended_at - row.accepted_at) / timedelta(milliseconds=1):,.0f} ms"

    @admin.display(description="attempts")
    def tries(self, row: Delivery) -> SafeString:
        """The attempts as a table; what stands in it came from outside and is escaped."""
        if not row.attempts:
            return format_html("{}", "none: it ended before one was made")
        lines = (
            (
                _moment(datetime.fromtimestamp(attempt.get("at", 0), UTC)),
                attempt.get("host", ""),
                attempt.get("status") or "no answer",
                " ".join(filter(None, (attempt.get("reason", ""), attempt.get("detail", "")))) or "-",
                attempt.get("ms", ""),
            )
            for attempt in row.attempts
        )
        body = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{} ms</td></tr>", lines)
        head = "<tr><th>at (UTC)</th><th>host</th><th>status</th><th>reason</th><th>took</th></tr>"
        return format_html("<table><thead>" + head + "</thead><tbody>{}</tbody></table>", body)


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
