"""URLs of a customer's invoices."""

from django.urls import path

from billing.pages import invoices

urlpatterns = [
    path("c/<slug:slug>/invoices/", invoices.invoices, name="invoices"),
    path("c/<slug:slug>/invoices.csv", invoices.invoices_list_csv, name="invoices-csv"),
    path("c/<slug:slug>/invoices/billing/", invoices.billing, name="invoices-billing"),
    path("c/<slug:slug>/invoices/<slug:number>/", invoices.invoice, name="invoice"),
    path("c/<slug:slug>/invoices/<slug:number>.pdf", invoices.pdf, name="invoice-pdf"),
    path("c/<slug:slug>/invoices/<slug:number>.csv", invoices.invoice_csv, name="invoice-csv"),
]
