"""URLs of a customer's audit log."""

from django.urls import path

from tenants.pages import audit

urlpatterns = [
    path("c/<slug:slug>/audit/", audit.listing, name="audit"),
    path("c/<slug:slug>/audit.csv", audit.export, name="audit-csv"),
]
