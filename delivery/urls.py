"""The addresses of the delivery's pages."""

from django.urls import path

from delivery.views import test_push

urlpatterns = [
    path("c/<slug:slug>/test/", test_push.test_push, name="test-push"),
    path("c/<slug:slug>/test/live/", test_push.live, name="test-push-live"),
    path("c/<slug:slug>/test/<slug:ack_id>/", test_push.result, name="test-push-result"),
]
