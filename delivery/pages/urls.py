"""URLs of the delivery's pages."""

from django.urls import path

from delivery.outcomes.judge import CODES_PATH
from delivery.pages import (
    app_states,
    apps,
    codes,
    converters,
    device,
    devices,
    live,
    one_push,
    overview,
    overview_csv,
    providers,
    pushes,
    remove_holds,
    search,
    trial_push,
)

converters.register()
_APP = "c/<slug:slug>/apps/<int:app>/"
_CREDENTIAL = f"{_APP}credentials/<int:credential>/"

urlpatterns = [
    path("c/<slug:slug>/delivery/", overview.overview, name="delivery"),
    path("c/<slug:slug>/delivery/counts.csv", overview_csv.export, name="delivery-csv"),
    path("c/<slug:slug>/delivery/pushes/", pushes.listing, name="delivery-pushes"),
    path("c/<slug:slug>/delivery/pushes.csv", pushes.export, name="delivery-pushes-csv"),
    path("c/<slug:slug>/delivery/live/", live.live, name="delivery-live"),
    path("c/<slug:slug>/apps/", apps.apps, name="apps"),
    path(_APP, apps.app, name="app"),
    path(f"{_APP}change/", app_states.change, name="app-change"),
    path(f"{_APP}disable/", app_states.disable, name="app-disable"),
    path(f"{_APP}enable/", app_states.enable, name="app-enable"),
    path(f"{_APP}remove/", app_states.remove, name="app-remove"),
    path(f"{_APP}credentials/", apps.upload, name="credential-upload"),
    path(f"{_CREDENTIAL}check/", apps.check, name="credential-check"),
    path(f"{_CREDENTIAL}promote/", apps.promote, name="credential-promote"),
    path(f"{_CREDENTIAL}remove/", apps.remove, name="credential-remove"),
    path("c/<slug:slug>/apps/removes/<int:hold>/release/", remove_holds.release, name="remove-release"),
    path("c/<slug:slug>/delivery/providers/", providers.provider_panel, name="providers"),
    path("c/<slug:slug>/test/", trial_push.test_push, name="test-push"),
    path("c/<slug:slug>/test/live/", trial_push.live, name="test-push-live"),
    path("c/<slug:slug>/test/<slug:ack_id>/", trial_push.result, name="test-push-result"),
    path("c/<slug:slug>/delivery/<trace:trace>/", one_push.push, name="push"),
    path("c/<slug:slug>/delivery/posts/<str:post_id>/", one_push.post, name="post"),
    path("c/<slug:slug>/search/", search.search, name="search"),
    path(f"{CODES_PATH}/", codes.index, name="codes"),
    path(f"{CODES_PATH}/<str:code>/", codes.code, name="code"),
    path("c/<slug:slug>/delivery/devices/", devices.devices, name="devices"),
    path("c/<slug:slug>/delivery/devices/<slug:device>/", device.device, name="device"),
]
