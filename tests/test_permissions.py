"""Every URL and who may see it: the table of permission_table.py, driven in full, as the pages' role."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from tests.browsing import Browser, tenant, visitors
from tests.permission_rows import LOGIN, METHODS, VISITORS
from tests.permission_table import TABLE, row

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]  # where attempts are counted


def routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[str]:
    """Every route of the project, as it is spelled."""
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            yield from routes(entry, prefix + str(entry.pattern))
        elif isinstance(entry, URLPattern):
            yield prefix + str(entry.pattern)


@pytest.fixture(scope="module")
def cast(kept_rows: None) -> dict[str, Browser]:
    """A browser for each, made once."""
    found = dict(visitors(tenant("Acme").customer, tenant("Cosmos").customer))
    assert tuple(found) == VISITORS
    return found


@pytest.fixture
def everybody(cast: dict[str, Browser], db: None) -> dict[str, Browser]:
    """The same with cookies of this test's own: what a test changes, the database and the browsers forget again."""
    return {visitor: browser.twin() for visitor, browser in cast.items()}


def seen(browser: Browser, method: str, address: str) -> Any:
    """What a request gives: a status, or LOGIN for a way to the login page."""
    answer = browser.generic(method, address)
    if answer.status_code == 302 and urlsplit(answer["Location"]).path.endswith("/login/"):
        return LOGIN
    return answer.status_code


@pytest.mark.parametrize("route", sorted(set(routes())))
def test_each_visitor_gets_what_the_table_says(route: str, everybody: dict[str, Browser]) -> None:
    found = row(route)
    assert found is not None, f"{route} is not in the permission table"
    wrong = []
    for method in METHODS:
        for (visitor, browser), statuses in zip(everybody.items(), found.expected(method), strict=True):
            got = seen(browser, method, found.address)
            if got not in (statuses if isinstance(statuses, tuple) else (statuses,)):
                wrong.append(f"{method} {found.address} by {visitor} is {got}, not {statuses}")
    assert wrong == []


def test_a_url_that_is_in_no_table_is_noticed() -> None:
    assert row("secret/door") is None
    assert row("c/<slug:slug>/secret/") is None
    assert row("admin/tenants/customer/secret/") is None
    assert row("admin/tenants/customer/add/") is not None


def test_the_table_speaks_of_no_url_that_is_gone() -> None:
    there = set(routes())
    assert [
        route for route in TABLE if not any(one.startswith(route) if "^" in route else one == route for one in there)
    ] == []


def test_the_matrix_is_as_large_as_it_should_be(record_property: Any) -> None:
    size = len(set(routes())) * len(METHODS) * len(VISITORS)
    record_property("count", f"permission matrix: {len(set(routes()))} URLs, {size} cells")
    assert size > 1_000
