"""Every URL of the pages. What machines ask is answered before it comes here: the two endpoints of the hot path
(delivery/ingest/api.py), and health, metrics and version (hpns/watching/endpoints.py).
"""

from typing import Any

from django.contrib import admin
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import RedirectView

from hpns.departure import pages
from hpns.pages import customer_home, front

# Where the app "admin" has not done it (hpns/apps.py): what is registered has its addresses below.
admin.autodiscover()

handler404 = "hpns.pages.front.not_found"
handler500 = "hpns.pages.front.server_error"


def _with_slash(name: str) -> Any:
    """A page that leads to the one with a slash at its end, for whoever only reads."""
    page = RedirectView.as_view(url=f"/{name}/", query_string=True, http_method_names=["get", "head"])
    return csrf_exempt(page)  # another method is told so: 405, not 403


# What people type: these pages have their addresses with a slash at the end. None of a Mattermost server's is here, for
# a redirect would make a GET of its POST.
WITHOUT_SLASH = ("admin", "docs", "status")

urlpatterns = [
    path("", front.home, name="home"),
    path("docs/", front.docs, name="docs"),
    *(path(each, _with_slash(each)) for each in WITHOUT_SLASH),
    path("t/<str:key>", front.home, name="home-key"),
    path("t/<str:key>/", front.home, name="home-key-slash"),
    path("", include("tenants.accounts.urls")),
    path("", include("tenants.pages.people_urls")),
    path("c/<slug:slug>/", customer_home.home, name="customer"),
    path("", include("tenants.pages.audit_urls")),
    path("", include("tenants.pages.server_urls")),
    path("", include("tenants.pages.settings_urls")),
    path("c/<slug:slug>/settings/export/", pages.export, name="customer-export"),
    path("c/<slug:slug>/settings/erase/", pages.erase, name="customer-erase"),
    path("", include("billing.pages.subscription_urls")),
    path("", include("delivery.pages.urls")),
    path("", include("billing.pages.sla_urls")),
    path("", include("billing.pages.status_urls")),
    path("", include("billing.pages.usage_urls")),
    path("", include("billing.pages.invoices_urls")),
    path("", include("billing.pages.licence_urls")),
    path("c/<slug:slug>/<path:rest>", front.nothing_here, name="nothing-here"),
    path("admin/", admin.site.urls),
]
