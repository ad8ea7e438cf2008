"""All pages at once: each address that a page, a text or a mail names is a page, and one of a thing is said so."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from django.template.loader import get_template
from django.urls import Resolver404, get_resolver, resolve, reverse
from django.utils import timezone
from pytest_django import Settings

from delivery.insight.catalogue import ENTRIES
from delivery.protocol.schedule import MESSAGE
from tenants.models import Credential, PushApp, ServerKey
from tests.browsing import Browser, browser, staff
from tests.delivery.logged_pushes import acknowledge, log
from tests.tenants.two_customers import Cast, two_customers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
ROOT = Path(__file__).parents[3]
PUBLIC = ("/", "/docs/", "/codes/", "/status/")
# What follows a 1 and ends in s without being many: verbs, units, and what names itself so.
NOT_MANY = frozenset(("is", "was", "has", "needs", "s", "ms", "this", "less", "minus", "years", "status", "gets"))
# Downloads, what acts at once, and other programs' pages.
LEFT_OUT = re.compile(
    r"\.(csv|zip|pdf|py|json|atom|svg|css|js)$|/logout/|/jsi18n/|/r/\d|/find/|/invoice/|/invoicedraft/|/invoices/."
)


@pytest.fixture
def cast(db: None) -> Cast:
    made = two_customers()
    ServerKey.objects.update(last_used_at=timezone.now())
    acknowledge(made.acme, log(made.acme, app=PushApp.objects.get(customer=made.acme.customer).pk, age=60))
    Credential.objects.update(key_id="TEAM123456/ABC1234567", checked_at=timezone.now(), check_code="ok")
    return made


def links(text: str, at: str) -> Iterator[str]:
    """The addresses of this service that a page links or sends forms to, without what stands behind ? and #."""
    for found in re.findall(r'(?:href|action)="([^"]*)"', text):
        parts = urlsplit(urljoin(at, unescape(found)))
        if not parts.scheme and not parts.netloc and not parts.path.startswith("/static/"):
            yield parts.path


def route(path: str) -> str | None:
    """The route of an address; None where there is none."""
    try:
        return str(resolve(path).route)
    except Resolver404:
        return None


def walk(visitor: Browser, *starts: str) -> dict[str, str]:
    """The text of one page of each route that can be reached by links. Asserts that each link leads to a page."""
    todo, seen, texts, dead = list(starts), set[str](), dict[str, str](), list[str]()
    while todo:
        path = todo.pop(0)
        answer = visitor.get(path, headers={"accept": "text/html"})
        if answer.status_code >= 400 and answer.status_code != 405:  # a form's address takes POST alone
            dead.append(f"{path} is {answer.status_code}")
        if answer.status_code != 200 or answer.streaming:
            continue
        text = texts[path] = answer.content.decode()
        for link in links(text, path):
            where = route(link)
            if where is None or where == "c/<slug:slug>/<path:rest>":
                dead.append(f"{path} names {link}")
            elif where not in seen and not LEFT_OUT.search(link):
                seen.add(where)
                todo.append(link)
    assert dead == []
    return texts


def many_of_one(text: str) -> list[str]:
    """Where a page says "1 customers"."""
    main = text.partition("<main")[2] or text.partition('id="content"')[2]
    plain = unescape(re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", main, flags=re.DOTALL))
    found = re.finditer(r"(?<![\w.,:/–-])1\s+([a-z]+s)\b", plain)
    return [each[0] for each in found if each[1] not in NOT_MANY]


def test_each_address_of_the_public_pages_leads_to_a_page() -> None:
    texts = walk(Browser(), *PUBLIC)
    assert set(PUBLIC) <= set(texts)
    assert {path: many_of_one(text) for path, text in texts.items() if many_of_one(text)} == {}


def test_each_address_of_a_customers_pages_leads_to_a_page_and_one_of_a_thing_is_said_so(cast: Cast) -> None:
    texts = walk(Browser().enter(cast.ada), "/c/acme/")
    assert len(texts) > 25
    assert {path: many_of_one(text) for path, text in texts.items() if many_of_one(text)} == {}
    titles = [re.search(r"<title>(.*?)</title>", text, re.DOTALL) for text in texts.values()]
    doubled = [found[1] for found in titles if found and re.search(r"\bAcme\b.* – Acme – ", found[1])]
    assert doubled == []
    assert not [path for path, text in texts.items() if re.search(r'since <time [^>]*data-time=""', text)]


def test_each_address_of_the_staffs_pages_leads_to_a_page_and_one_of_a_thing_is_said_so(cast: Cast) -> None:
    texts = walk(Browser().enter(staff(), factor=True), "/admin/")
    assert len(texts) > 40
    assert {path: many_of_one(text) for path, text in texts.items() if many_of_one(text)} == {}


def test_each_code_has_a_page_and_links_the_pages_that_it_names() -> None:
    wrong = []
    for code, entry in ENTRIES.items():
        address = reverse("code", args=(code,))
        text = Browser().get(address).content.decode()
        named = re.findall(r"\b(status|subscription) page\b", entry.advice)
        others = len(re.findall(r"Apple's system status page|the status page of Firebase", entry.advice))
        main = text.partition('id="do"')[2].partition("</section>")[0]
        if len(named) - others != main.count("<a href="):
            wrong.append(f"{code}: {entry.advice}")
        wrong += [f"{address} names {link}" for link in links(main, address) if route(link) is None]
    assert wrong == []


def test_each_address_that_a_mail_is_made_with_is_a_route() -> None:
    templates = [path for path in (ROOT / "templates").rglob("*.txt") if "mail" in path.parts or "email" in path.parts]
    assert len(templates) > 20
    dead = []
    for path in templates:
        get_template(str(path.relative_to(ROOT / "templates")))
        for name in re.findall(r"{% url ['\"]([\w-]+)['\"]", path.read_text()):
            if not any(name == pattern for pattern in names()):
                dead.append(f"{path.name} names {name}")
    assert dead == []


def names() -> set[str]:
    """The names of all routes."""
    return {str(name) for name in get_resolver().reverse_dict if isinstance(name, str)}


@pytest.mark.parametrize("address", ["/c/acme/no/such/page/", "/c/acme/servers/00000000-0000-4000-8000-000000000000/"])
def test_a_page_that_is_not_there_below_a_customer_keeps_its_navigation(cast: Cast, address: str) -> None:
    reader = browser(cast.acme.customer, "viewer")
    answer = reader.get(address, headers={"accept": "text/html"})
    assert answer.status_code == 404
    text = answer.content.decode()
    assert "There is no such page" in text
    assert 'aria-label="Pages"' in text
    assert 'href="/c/acme/servers/"' in text
    stranger = browser(cast.cosmos.customer, "owner").get(address, headers={"accept": "text/html"})
    assert stranger.status_code == 404
    assert "Acme" not in stranger.content.decode()


def test_an_address_below_a_customer_that_lacks_its_slash_is_led_to_its_page(cast: Cast) -> None:
    answer = Browser().enter(cast.ada).get("/c/acme/servers")
    assert (answer.status_code, answer["Location"]) == (302, "/c/acme/servers/")


def test_the_logo_leads_home_whoever_is_logged_in(cast: Cast) -> None:
    def logo(visitor: Browser, address: str) -> str:
        found = re.search(r'<a class="product" href="([^"]*)"', visitor.get(address).content.decode())
        assert found
        return found[1]

    ada = Browser().enter(cast.ada)
    assert logo(ada, "/c/acme/people/") == "/c/acme/"
    assert logo(ada, "/account/") == "/account/start/"
    assert logo(Browser(), "/account/login/") == "/"


def test_a_wrong_password_saves_nothing_and_does_not_say_so() -> None:
    text = Browser().post("/account/login/", {"login": "a@b.example", "password": "wrong"}).content.decode()
    assert "One thing has to be changed." in text
    assert "Nothing was saved" not in text


def test_what_a_file_needs_is_not_marked_as_optional(cast: Cast) -> None:
    app = PushApp.objects.get(customer=cast.acme.customer)
    text = Browser().enter(cast.ada).get(f"/c/acme/apps/{app.pk}/").content.decode()
    assert re.search(r'<label for="id_team_id">Team id\s*</label>', text)
    assert "Key id <span" not in text


def test_the_front_page_says_what_it_is_for_whom_what_becomes_of_contents_and_whom_to_ask(settings: Settings) -> None:
    settings.SUPPORT_CONTACT = "support@push.example.com"
    for address in ("/", "/docs/"):
        text = Browser().get(address).content.decode()
        assert '<a href="mailto:support@push.example.com">' in text
        for link in ("/status/", "/codes/", "/docs/"):
            assert f'href="{link}' in text, (address, link)
    front = Browser().get("/").content.decode()
    for words in ("HPNS", "EAS", "Test service", "sealed in the queue", "How to become a customer"):
        assert words in front
    settings.SUPPORT_CONTACT = "whoever operates this push service"
    assert "mailto" not in Browser().get("/").content.decode()


def test_the_documentation_recommends_the_form_that_mattermosts_log_masks(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://push.example.com"
    text = Browser().get("/docs/").content.decode()
    assert "https://mattermost:KEY@push.example.com" in text
    for word in ("OK", "REMOVE", "FAIL", "apple_rn", "android_rn"):
        assert f"<code>{word}</code>" in text


def test_what_becomes_of_texts_is_said_as_long_as_a_message_is_tried_again() -> None:
    for address in ("/", "/docs/"):
        text = Browser().get(address).content.decode()
        assert f"for {MESSAGE.lifetime // 3600} hours at most" in text
        assert "kept nowhere" not in text


@pytest.mark.parametrize(
    ("address", "way"),
    [
        ("https://push.example.com", "HTTPS on port 443"),
        ("https://push.example.com:8443/", "HTTPS on port 8443"),
        ("http://push.example.com", "HTTP on port 80"),
        ("https://[2001:db8::1]:8066", "HTTPS on port 8066"),
    ],
)
def test_the_documentation_says_the_port_that_a_firewall_has_to_let_through(
    settings: Settings, address: str, way: str
) -> None:
    settings.PUBLIC_URL = address
    assert f"reaches this service by {way}." in Browser().get("/docs/").content.decode()


def test_the_documentation_says_what_each_answer_means_for_the_push() -> None:
    text = Browser().get("/docs/").content.decode()
    for words in ("took it, or it is safely queued", "no longer on this device", "does not send the push again"):
        assert words in text
