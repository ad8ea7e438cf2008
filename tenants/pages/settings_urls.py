"""URLs of a customer's settings."""

from django.urls import path

from tenants.pages import settings as views

urlpatterns = [
    path("c/<slug:slug>/settings/", views.settings, name="settings"),
    path("c/<slug:slug>/settings/name/", views.name, name="settings-name"),
    path("c/<slug:slug>/settings/content/", views.content, name="settings-content"),
    path("c/<slug:slug>/settings/contacts/", views.contacts, name="settings-contacts"),
]
