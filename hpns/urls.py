"""Every URL of the service except the two endpoints of the hot path, which asgi.py sends to delivery.ingest.api
directly.
"""

from django.contrib import admin
from django.urls import include, path

from hpns.departure import pages
from hpns.pages import customer_home, front

handler404 = "hpns.pages.front.not_found"
handler500 = "hpns.pages.front.server_error"

urlpatterns = [
    path("", front.home, name="home"),
    path("version", front.version, name="version"),
    path("t/<str:key>", front.home, name="home-key"),
    path("t/<str:key>/", front.home, name="home-key-slash"),
    path("t/<str:key>/version", front.version, name="version-key"),
    path("health/live", front.live, name="live"),
    path("health/ready", front.ready, name="ready"),
    path("metrics", front.prometheus, name="metrics"),
    path("", include("tenants.accounts.urls")),
    path("", include("tenants.pages.people_urls")),
    path("c/<slug:slug>/", customer_home.home, name="customer"),
    path("", include("tenants.pages.audit_urls")),
    path("", include("tenants.pages.server_urls")),
    path("", include("tenants.pages.settings_urls")),
    path("c/<slug:slug>/settings/export/", pages.export, name="customer-export"),
    path("c/<slug:slug>/settings/erase/", pages.erase, name="customer-erase"),
    path("", include("delivery.pages.urls")),
    path("admin/", admin.site.urls),
]
