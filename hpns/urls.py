"""Every URL of the service except the two endpoints of the hot path, which asgi.py sends to delivery.ingest.api
directly.
"""

from django.contrib import admin
from django.urls import include, path

from hpns import customer_pages, departure_pages, views

handler404 = "hpns.views.not_found"
handler500 = "hpns.views.server_error"

urlpatterns = [
    path("", views.home, name="home"),
    path("version", views.version, name="version"),
    path("t/<str:key>", views.home, name="home-key"),
    path("t/<str:key>/", views.home, name="home-key-slash"),
    path("t/<str:key>/version", views.version, name="version-key"),
    path("health/live", views.live, name="live"),
    path("health/ready", views.ready, name="ready"),
    path("metrics", views.prometheus, name="metrics"),
    path("", include("tenants.accounts.urls")),
    path("", include("tenants.pages.people_urls")),
    path("c/<slug:slug>/", customer_pages.home, name="customer"),
    path("", include("tenants.pages.audit_urls")),
    path("", include("tenants.pages.server_urls")),
    path("", include("tenants.pages.settings_urls")),
    path("c/<slug:slug>/settings/export/", departure_pages.export, name="customer-export"),
    path("c/<slug:slug>/settings/erase/", departure_pages.erase, name="customer-erase"),
    path("", include("delivery.pages.urls")),
    path("admin/", admin.site.urls),
]
