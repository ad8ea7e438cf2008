"""URLs of a customer's subscription."""

from django.urls import path

from billing.pages import subscription as views

urlpatterns = [
    path("c/<slug:slug>/subscription/", views.subscription, name="subscription"),
    path("c/<slug:slug>/subscription/cancel/", views.cancel, name="subscription-cancel"),
    path("c/<slug:slug>/subscription/keep/", views.keep, name="subscription-keep"),
    path("c/<slug:slug>/subscription/change/", views.change, name="subscription-change"),
]
