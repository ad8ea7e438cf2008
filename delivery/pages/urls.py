"""URLs of the delivery's pages."""

from django.urls import path

from delivery.pages import apps, providers, trial_push

_APP = "c/<slug:slug>/apps/<int:app>/"
_CREDENTIAL = f"{_APP}credentials/<int:credential>/"

urlpatterns = [
    path("c/<slug:slug>/apps/", apps.apps, name="apps"),
    path(_APP, apps.app, name="app"),
    path(f"{_APP}credentials/", apps.upload, name="credential-upload"),
    path(f"{_CREDENTIAL}check/", apps.check, name="credential-check"),
    path(f"{_CREDENTIAL}promote/", apps.promote, name="credential-promote"),
    path(f"{_CREDENTIAL}remove/", apps.remove, name="credential-remove"),
    path("c/<slug:slug>/delivery/providers/", providers.provider_panel, name="providers"),
    path("c/<slug:slug>/test/", trial_push.test_push, name="test-push"),
    path("c/<slug:slug>/test/live/", trial_push.live, name="test-push-live"),
    path("c/<slug:slug>/test/<slug:ack_id>/", trial_push.result, name="test-push-result"),
]
