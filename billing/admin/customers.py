"""The staff's view of customers: taking one on in one form, and what each is entitled to.

Everything that is changed here goes through billing's own functions, which check it in plain words and audit it.
"""

from typing import Any, ClassVar, Final

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing import customers, entitlements
from billing.admin import suspending
from billing.offers import Limits
from tenants import services
from tenants.admin import PlainForm, ReadOnlyAdmin, ServiceAdmin, ServiceForm
from tenants.mail import MailError
from tenants.models import Customer, Entitlement
from tenants.problem import ProblemError
from tenants.staff_roles import PUSHES

ENTITLED: Final = ("active", "may_use_shared", "tls_required", "may_use_server_id", *Limits._fields)


class TakeOnForm(ServiceForm):
    """A new customer with its first owner and server, in one go."""

    owner_email = forms.EmailField(
        label="First owner's e-mail address", help_text="An invitation goes to this address, good for seven days."
    )
    server_name = forms.CharField(
        max_length=200,
        required=False,
        label="First server",
        help_text="The Mattermost server's name, such as chat.example.com. The customer can add it, too.",
    )

    class Meta:
        model = Customer
        fields = ("name", "slug", "offer")
        help_texts = {  # noqa: RUF012
            "slug": "The name in commands and addresses; empty: made of the name.",
            "offer": "HPNS: our shared apps. EAS: the customer's own apps and keys. TPNS: our shared apps as a trial, "
            "tightly limited.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["slug"].required = False

    def apply(self, given: dict[str, Any]) -> Customer:
        """Take the customer on; `made` is what came of it."""
        self.made = customers.take_on(
            name=given["name"],
            slug=given["slug"],
            offer=given["offer"],
            owner_email=given["owner_email"],
            server_name=given["server_name"],
        )
        return self.made.customer


class ChangeForm(ServiceForm):
    """What staff change about a customer; the offer brings its terms and limits."""

    class Meta:
        model = Customer
        fields = ("name", "offer", "content", "contacts")

    def apply(self, given: dict[str, Any]) -> Customer:
        """Change what was changed, each with its own entry in the audit log."""
        there = Customer.objects.get(pk=self.instance.pk)
        services.customer_rename(customer=there, name=given["name"])
        services.customer_content(customer=there, content=given["content"])
        services.customer_contacts(customer=there, contacts=given["contacts"])
        entitlements.to_offer(customer=there, offer=given["offer"])
        return Customer.objects.get(pk=there.pk)


class EntitlementForm(PlainForm):
    """What a customer may do."""

    class Meta:
        model = Entitlement
        fields = ENTITLED
        labels: ClassVar[dict[str, str]] = {
            "rate": "rate (pushes a second)",
            "burst": "burst (pushes at once)",
            "in_flight": "in flight (pushes waiting at a time)",
            "server_rate": "rate of each server (pushes a second)",
            "server_burst": "burst of each server (pushes at once)",
            "server_in_flight": "in flight of each server (pushes waiting at a time)",
        }
        help_texts: ClassVar[dict[str, str]] = {
            **dict.fromkeys(("rate", "server_rate"), "In the long run; with a burst. Empty: no limit."),
            **dict.fromkeys(("burst", "server_burst"), "After a quiet time; with a rate. Empty: no limit."),
            **dict.fromkeys(("in_flight", "server_in_flight"), "Those whose answer is awaited. Empty: no limit."),
        }

    def clean(self) -> dict[str, Any]:
        """A rate and its burst belong together, and a limit of nothing is none."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        try:
            entitlements.check({name: given.get(name) for name in ENTITLED})
        except ProblemError as problem:
            self.add_error(None, problem.sentence)
        return given


class EntitlementInline(admin.StackedInline):  # type: ignore[type-arg]
    """What the customer may do, on the customer's page."""

    model = Entitlement
    form = EntitlementForm
    can_delete = False
    max_num = 1


class ErasureFilter(admin.SimpleListFilter):
    """Filter by whether an owner has asked for the customer's erasure, which a command does."""

    title = "erasure"
    parameter_name = "erasure"

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        """The one."""
        return (("asked", "asked for"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Customer]) -> QuerySet[Customer]:
        """Narrow the list down."""
        if self.value() != "asked":
            return queryset
        return queryset.filter(pk__in=[each.customer_id for each in customers.erasure_requests()])


@admin.register(Customer)
class CustomerAdmin(ServiceAdmin):
    """Customers; the slug is fixed once it is in use."""

    list_display = ("name", "slug", "status", "offer", "entitled", "shares", "created_at")
    list_filter = ("offer", "status", "entitlement__active", ErasureFilter)
    list_select_related = ("entitlement",)
    search_fields = (
        "name",
        "slug",
        "servers__name",
        "servers__keys__prefix",
        "servers__server_ids__mattermost_id",
        "servers__keys__sightings__mattermost_id",
        "apps__topic",
        "memberships__user__email",
    )
    search_help_text = "Name, slug, server, key prefix, server_id, bundle id, or a member's e-mail address"
    actions = ("suspend", "resume")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """One form to take a customer on, another to change it."""
        kwargs["form"] = ChangeForm if obj else TakeOnForm
        # Django takes all of them out of the form of who may only look.
        kwargs["fields"] = None if self.has_change_permission(request, obj) else []
        return super().get_form(request, obj, change, **kwargs)

    def get_list_display(self, request: HttpRequest) -> tuple[Any, ...]:
        """With the way to the customer's own pages, as far as the reader may look at them."""
        # Before what is beyond the edge of a narrow screen.
        return (*self.list_display[:2], self._way(request), *self.list_display[2:])

    @admin.display(description="waits to be erased", empty_value="no")
    def erasure(self, row: Customer) -> str | None:
        """Who has asked for the customer's erasure, which a command does."""
        asked = customers.erasure_request(customer=row)
        return f"{asked.actor} asked on {asked.at:%d %B %Y}: `customer erase --slug {row.slug}`" if asked else None

    @staticmethod
    def _way(request: HttpRequest) -> str:
        return "pages" if request.user.has_perm(PUSHES) else "subscription_page"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """See get_form."""
        if obj is None:
            return ("name", "slug", "offer", "owner_email", "server_name")
        return ("name", "slug", "offer", "status", "erasure", "content", "contacts", "created_at", self._way(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Commands and addresses name the slug; the status is changed by the list's actions."""
        return ("slug", "status", "erasure", "created_at", "pages", "subscription_page") if obj else ()

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """A new customer gets what its offer includes."""
        return (EntitlementInline,) if obj else ()

    def save_model(self, request: HttpRequest, obj: Customer, form: Any, change: bool) -> None:
        """Take on, or change."""
        super().save_model(request, obj, form, change)
        if not change:
            transaction.on_commit(lambda: self._invite(request, form.made), robust=True)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """The entitlement: only what was changed, through its one writer."""
        for each in formset.forms:
            if each.changed_data:
                wanted = {name: each.cleaned_data[name] for name in each.changed_data if name in ENTITLED}
                entitlements.change(customer=form.instance, **wanted)
        formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []

    @staticmethod
    def _invite(request: HttpRequest, made: customers.TakenOn) -> None:
        try:
            services.invitation_send(made=made.invitation)
        except MailError as error:
            again = "Choose it in the list of invitations, and there Send again."
            messages.error(request, f"The customer was taken on, but {error}. {again}")
        else:
            messages.success(request, f"An invitation was sent to {made.invitation.row.email}.")

    @admin.display(boolean=True)
    def entitled(self, row: Customer) -> bool:
        """Whether billing lets this customer push."""
        return row.entitlement.active if hasattr(row, "entitlement") else False

    @admin.display(boolean=True, description="shared apps")
    def shares(self, row: Customer) -> bool:
        """Whether it may push to the operator's own apps."""
        return row.entitlement.may_use_shared if hasattr(row, "entitlement") else False

    @admin.display(description="its pages")
    def pages(self, row: Customer) -> SafeString:
        """The way to the customer's pages as its people see them, read only and noted in its audit log."""
        return format_html('<a href="{}">Look at them</a>', reverse("customer", args=(row.slug,)))

    @admin.display(description="its pages")
    def subscription_page(self, row: Customer) -> SafeString:
        """The same for whoever sees no pushes, with which the others begin."""
        return format_html('<a href="{}">Look at its subscription</a>', reverse("subscription", args=(row.slug,)))

    @admin.action(
        description="Suspend the selected customers: asks for the reason, and writes to their owners",
        permissions=("change",),
    )
    def suspend(self, request: HttpRequest, queryset: QuerySet[Customer]) -> HttpResponse | None:
        """Suspend each, once the reason was given; those that are suspended stay so."""
        return suspending.ask(self, request, queryset, suspending.SUSPEND)

    @admin.action(description="Resume the selected customers: writes to their owners", permissions=("change",))
    def resume(self, request: HttpRequest, queryset: QuerySet[Customer]) -> HttpResponse | None:
        """Serve each again, once that was confirmed."""
        return suspending.ask(self, request, queryset, suspending.RESUME)


@admin.register(Entitlement)
class EntitlementAdmin(ReadOnlyAdmin):
    """What customers may do, at a glance; it is changed on the customer's page."""

    list_display = (
        *("customer", "active", "refusal", "may_grow", "may_use_shared", "tls_required", "may_use_server_id"),
        *("pushes_a_second", "pushes_at_once"),
    )
    list_filter = ("active", "refusal", "may_grow", "may_use_shared", "may_use_server_id")
    list_select_related = ("customer",)
    search_fields = ("customer__name", "customer__slug")

    @admin.display(description="rate (pushes/s)", ordering="rate", empty_value="no limit")
    def pushes_a_second(self, row: Entitlement) -> str | None:
        """Of all servers together."""
        return None if row.rate is None else f"{row.rate:,}"

    @admin.display(description="burst (pushes)", ordering="burst", empty_value="no limit")
    def pushes_at_once(self, row: Entitlement) -> str | None:
        """After a quiet time."""
        return None if row.burst is None else f"{row.burst:,}"
