"""URLs of the pages for a customer's people."""

from django.urls import path

from tenants.pages import people

urlpatterns = [
    path("c/<slug:slug>/people/", people.people, name="people"),
    path("c/<slug:slug>/people/invite/", people.invite, name="people-invite"),
    path("c/<slug:slug>/people/invitations/<int:pk>/again/", people.invite_again, name="people-invite-again"),
    path("c/<slug:slug>/people/invitations/<int:pk>/withdraw/", people.withdraw, name="people-withdraw"),
    path("c/<slug:slug>/people/<int:pk>/role/", people.set_role, name="people-role"),
    path("c/<slug:slug>/people/<int:pk>/remove/", people.remove, name="people-remove"),
    path("c/<slug:slug>/people/leave/", people.leave, name="people-leave"),
]
