"""The panel of the providers as a customer sees it."""

import pytest
from django.core.cache import cache

from tenants.models import Customer
from tests.browsing import Browser
from tests.delivery.insight import recent

pytestmark = pytest.mark.django_db

ADDRESS = "/c/acme/delivery/providers/"


def test_without_pushes_the_panel_says_that_they_are_too_few(ada: Browser) -> None:
    answer = ada.get(ADDRESS)
    assert answer.status_code == 200
    assert "Too few pushes went to Apple in the last 15 minutes to tell how it is." in answer.text


def test_the_panel_says_that_it_is_not_apple_and_tells_no_count(ada: Browser, customer: Customer) -> None:
    for other in range(1, 7):
        recent.push(customer.pk + other, 777)
    recent.count()
    cache.clear()
    text = ada.get(ADDRESS).text
    assert "Apple took 100 % of pushes in the last 15 minutes: it is not Apple." in text
    assert "777" not in text
    assert "4,662" not in text
