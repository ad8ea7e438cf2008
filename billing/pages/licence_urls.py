"""URLs of the licence's pages."""

from django.urls import path

from billing.pages import licence

urlpatterns = [
    path("c/<slug:slug>/licence/", licence.licence, name="licence"),
    path("c/<slug:slug>/licence/<int:proof>/server/", licence.bind, name="licence-server"),
    path("c/<slug:slug>/licence/<int:proof>/withdraw/", licence.withdraw, name="licence-withdraw"),
]
