"""What every page is made of, where no browser is needed: errors for people and for machines, headers, navigation."""

import logging
import re
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.core.ratelimit import respond_429
from django import forms
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.urls import include, path
from pytest_django import Settings

from hpns.pages.navigation import links

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

handler404 = "hpns.pages.front.not_found"
handler500 = "hpns.pages.front.server_error"


def fail(_request: HttpRequest) -> HttpResponse:
    """A fault of ours."""
    raise RuntimeError("never shown")


def post(_request: HttpRequest) -> HttpResponse:
    """Takes a form."""
    return HttpResponse("taken")


urlpatterns = [
    path("fail", fail),
    path("limited", respond_429),
    path("post", post),
    path("c/<slug:slug>/", post, name="customer"),
    path("c/<slug:slug>/servers/", post, name="servers"),
    path("c/<slug:slug>/people/", post, name="people"),
    path("", include("hpns.urls")),
]


@pytest.fixture(autouse=True)
def own_addresses(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.hpns.test_look"


def test_a_machine_is_told_404_in_one_line() -> None:
    answer = Client().get("/nowhere", headers={"Accept": "*/*"})
    assert (answer.status_code, answer.content) == (404, b"404 page not found\n")
    assert answer["Content-Type"] == "text/plain"
    assert "Accept" in answer["Vary"]


def test_a_person_is_told_404_on_a_page() -> None:
    answer = Client().get("/nowhere", headers={"Accept": BROWSER})
    assert answer.status_code == 404
    assert "<h1>There is no such page</h1>" in answer.text


def test_an_error_page_asks_no_database_even_of_who_is_logged_in() -> None:
    # No test database is set up for this test: each query would fail it.
    client = Client()
    client.cookies["sessionid"] = "x" * 32
    assert client.get("/nowhere", headers={"Accept": BROWSER}).status_code == 404
    limited = client.get("/limited")
    assert limited.status_code == 429
    assert "<h1>Too many attempts</h1>" in limited.text
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "429", "500"])
def test_an_error_page_is_made_of_nothing_but_itself(name: str) -> None:
    page = render_to_string(f"{name}.html", {"customer": SimpleNamespace(name="Acme", slug="acme")})
    assert "<h1>" in page
    assert "Acme" not in page


def test_a_fault_of_ours_has_a_trace_id_on_the_page_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "hpns.pages.front"):
        answer = Client(raise_request_exception=False).get("/fail")
    assert answer.status_code == 500
    trace = next(record.trace for record in caplog.records if record.name == "hpns.pages.front")  # type: ignore[attr-defined]
    assert f">{trace}</code>" in answer.text
    assert "never shown" not in answer.text


def test_a_form_without_its_token_changes_nothing_and_says_so() -> None:
    answer = Client(enforce_csrf_checks=True).post("/post")
    assert answer.status_code == 403
    assert "<h1>This form has expired</h1>" in answer.text


def test_a_name_that_is_not_ours_is_a_page_without_context() -> None:
    answer = Client(headers={"Host": "elsewhere.example"}).get("/")
    assert answer.status_code == 400
    assert "<h1>This request cannot be read</h1>" in answer.text


@pytest.mark.parametrize("address", ["/", "/nowhere", "/fail", "/version", "/static/hpns/site.css"])
def test_each_answer_forbids_what_is_inline_and_from_elsewhere(address: str) -> None:
    answer = Client(raise_request_exception=False).get(address)
    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "camera=()" in answer["Permissions-Policy"]


@pytest.mark.parametrize("name", ["site.css", "site.js"])
def test_styles_and_scripts_are_packed_for_whoever_can_unpack(name: str) -> None:
    plain = Client().get(f"/static/hpns/{name}").getvalue()
    packed = Client().get(f"/static/hpns/{name}", headers={"Accept-Encoding": "gzip"})
    assert packed["Content-Encoding"] == "gzip"
    assert len(packed.getvalue()) < len(plain) * 0.6
    if name == "site.js":
        assert len(plain) < 9_000


def page_request(path: str, *actions: str) -> Any:
    """A request that has passed customer_page with these actions allowed."""
    request: Any = RequestFactory().get(path)
    request.customer = SimpleNamespace(pk=1, slug="acme", name="Acme")
    request.may, request.viewing_as_staff = actions.__contains__, False
    return request


def test_the_navigation_has_what_exists_and_may_be_seen() -> None:
    found = links(page_request("/c/acme/", "see", "server.see", "audit.see", "settings.see"))
    assert [link.label for link in found][:2] == ["Home", "Servers & keys"]
    assert "People" not in [link.label for link in found]


def test_the_navigation_marks_the_page_that_one_is_below_of() -> None:
    def marked(path: str) -> list[str]:
        return [link.label for link in links(page_request(path, "see", "server.see", "member.see")) if link.current]

    assert marked("/c/acme/servers/some/one/") == ["Servers & keys"]
    assert marked("/c/acme/") == ["Home"]
    assert marked("/c/acme/elsewhere/") == []


@pytest.mark.parametrize("page", ["subscription/cancel", "licence", "usage/2026-10", "sla/reconcile", "invoices/INV-1"])
def test_all_pages_of_a_section_are_marked_as_its_entry(page: str) -> None:
    found = links(page_request(f"/c/acme/{page}/", "see", "subscription.see", "billing.read"))
    assert [link.label for link in found if link.current] == ["Subscription & SLA"]


def test_there_is_no_navigation_without_the_door() -> None:
    request = page_request("/c/acme/", "see")
    del request.may
    assert links(request) == []


def test_a_page_that_names_itself_once_has_title_and_heading_escaped_once() -> None:
    source = "{% extends 'base.html' %}{% block title %}{{ name }}{% endblock %}"
    request = page_request("/c/acme/", "see")
    request.user = User(username="ada")
    page = engines["django"].from_string(source).render({"name": "<b>&", "own_customers": []}, request)
    assert "<title>&lt;b&gt;&amp; – Acme – " in page
    assert "<h1>&lt;b&gt;&amp;</h1>" in page


def test_a_form_tells_what_is_wrong_at_the_field_and_in_a_summary() -> None:
    class NameForm(forms.Form):
        name = forms.CharField(label="Name", help_text="What you call it.")
        number = forms.IntegerField(widget=forms.HiddenInput)

    page = str(NameForm({"name": "", "number": "x"}))
    assert 'role="alert"' in page
    assert '<a href="#id_name">Name</a>: This field is required.' in page
    assert "(Hidden field number)" in page
    assert re.search(r'<input[^>]*aria-describedby="id_name_helptext id_name_error"', page)
    assert 'role="alert"' not in str(NameForm())
