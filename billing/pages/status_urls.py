"""URLs of the status page. The documents are called as the files are, so that links between them hold for both."""

from django.urls import path

from billing.pages import status

urlpatterns = [
    path("status/", status.page, name="status"),
    path("status/status.json", status.as_json, name="status-json"),
    path("status/feed.atom", status.feed, name="status-feed"),
    path("status/subscribe/", status.subscribe, name="status-subscribe"),
    path("status/confirm/<str:token>/", status.confirm, name="status-confirm"),
    path("status/leave/<str:token>/", status.leave, name="status-leave"),
]
