"""The staff's admin site: Django's own, behind the same login as every other page, and behind a second factor.

Invariant: no page of it is shown to whoever has not shown a second factor in this session.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from billing.pages import sla_board
from delivery.pages import boards
from hpns.staff import search
from hpns.staff.index import sections
from hpns.staff.today import needs
from tenants import staff_roles
from tenants.accounts.mfa import mfa_passed
from tenants.pages.staff import StaffPages

View = Callable[..., HttpResponse]


class StaffSite(StaffPages):
    """See above. Passwords and logins are the accounts' own pages."""

    site_header = site_title = "Push notification service"
    index_title = "Staff"

    def has_permission(self, request: HttpRequest) -> bool:
        """Active staff with a second factor shown in this session."""
        return super().has_permission(request) and mfa_passed(request)

    def get_urls(self) -> list[Any]:
        """As Django's, with the boards and the search."""
        # Django's last one takes every address that is left.
        return [
            *boards.urls(self._of(staff_roles.PUSHES)),
            *sla_board.urls(self._of("billing.view_slamonth")),
            path("find/", self._of("tenants.view_customer")(self.find), name="find"),
            *super().get_urls(),
        ]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """By what the work is (hpns/staff/index.py); the page of one app as Django has it."""
        if app_label is not None:
            return super().get_app_list(request, app_label)
        return sections(self._build_app_dict(request), request.user.has_perm)

    @method_decorator(never_cache)
    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """As Django's, below what needs somebody today."""
        may = request.user.has_perm
        today = {"needs": needs(may, timezone.now()), "sees_customers": may("tenants.view_customer")}
        return super().index(request, {**today, **(extra_context or {})})

    @method_decorator(sensitive_post_parameters())
    def find(self, request: HttpRequest) -> HttpResponse:
        """The search: POST leads to the only row that was found, or to the list of several; it may have been a secret,
        and comes into no address unless something of that name is there."""
        typed = request.POST.get("q", "") if request.method == "POST" else request.GET.get("q", "")
        text = search.cleaned(typed)
        hits = search.find(text, request.user.has_perm)
        if request.method == "POST" and hits:
            several = f"{reverse('admin:find', current_app=self.name)}?{urlencode({'q': text})}"
            return HttpResponseRedirect(hits[0].url if len({hit.url for hit in hits}) == 1 else several)
        context = {**self.each_context(request), "title": "Search", "hits": hits, "q": text, "most": search.MOST}
        return render(request, "admin/find.html", context)

    def _of(self, permission: str) -> Callable[[View], View]:
        """A decorator that makes a page of this site of a view, for whoever has a permission."""
        return lambda view: self.admin_view(permission_required(permission, raise_exception=True)(view))

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Lead to whatever is missing: the login, a second factor to be set up, or one to be shown."""
        wanted = request.GET.get("next", "")
        if not url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
            wanted = reverse("admin:index", current_app=self.name)
        user = request.user
        if not user.is_authenticated:
            return redirect_to_login(wanted)
        if not super().has_permission(request):
            raise PermissionDenied
        if mfa_passed(request):
            return HttpResponseRedirect(wanted)
        methods = get_adapter(request).get_reauthentication_methods(user)
        shows = (method["url"] for method in methods if method["id"].startswith("mfa_"))
        return redirect_to_login(wanted, next(shows, reverse("account-second-factor")))

    def password_change(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect to the account's own page, which notifies the person and writes the audit log."""
        return redirect("account_change_password")

    def logout(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The account's own page."""
        return redirect("account_logout", preserve_request=True)
