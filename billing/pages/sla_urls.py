"""URLs of the SLA's pages."""

from django.urls import path

from billing.pages import sla, sla_public, sla_reconcile, sla_reconcile_api

urlpatterns = [
    path("c/<slug:slug>/sla/", sla.sla, name="sla"),
    path("c/<slug:slug>/sla/files/<int:year>-<int:number>.zip", sla.files, name="sla-files"),
    path("c/<slug:slug>/sla/reconcile/", sla_reconcile.page, name="sla-reconcile"),
    path("api/v1/sla/reconcile", sla_reconcile_api.page, name="sla-reconcile-api"),
    path("sla/verify_sla.py", sla_public.verifier, name="sla-verifier"),
    path(".well-known/hpns-sla.json", sla_public.roots, name="sla-roots"),
]
