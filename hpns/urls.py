"""Every URL of the service except the two endpoints of the hot path, which asgi.py sends to delivery.api directly."""

from django.contrib import admin
from django.urls import path

urlpatterns = [
    path("admin/", admin.site.urls),
]
