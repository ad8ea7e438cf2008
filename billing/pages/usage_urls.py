"""The URLs of the pages about usage."""

from django.urls import path

from billing.pages import usage, usage_csv

urlpatterns = [
    path("c/<slug:slug>/usage/", usage.usage, name="usage"),
    path("c/<slug:slug>/usage.csv", usage_csv.history_csv, name="usage-csv"),
    path("c/<slug:slug>/usage/<str:month>.csv", usage_csv.month_csv, name="usage-month-csv"),
    path("c/<slug:slug>/usage/<str:month>/", usage.usage_month, name="usage-month"),
]
