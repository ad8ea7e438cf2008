"""A browser whose requests are answered in this process, by the tests' own client: what a test has not committed is
on the pages, too, and they are made as the pages' role.
"""

from contextvars import copy_context
from html import escape
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Page, Request

from tests.browsing import Browser

# A name that browsers trust without TLS; nobody needs to listen there.
ORIGIN: Final = "http://localhost"
# Headers of the browser that are the page's to see.
PASSED: Final = ("accept", "content-type", "hx-request", "hx-target", "if-none-match", "origin", "referer")


def answered_by(page: Page, client: Browser) -> None:
    """From now on `client`, and whoever is logged in there, answers all that the page asks of ORIGIN."""
    page.unroute_all()
    # The test's own, with its connection to the database: playwright calls from another.
    context = copy_context()
    page.route(f"{ORIGIN}/**", lambda route: route.fulfill(**context.run(_answer, client, route.request)))


def _answer(client: Browser, request: Request) -> dict[str, Any]:
    url = urlsplit(request.url)
    headers = {name: value for name, value in request.headers.items() if name in PASSED}
    response: Any = client.generic(
        request.method,
        url.path + (f"?{url.query}" if url.query else ""),
        request.post_data_buffer or b"",
        headers.pop("content-type", "application/octet-stream"),
        headers={**headers, "host": url.netloc},
    )
    body = response.getvalue() if response.streaming else response.content
    if response.status_code in (301, 302, 303):
        # A browser follows a redirect without asking us; so it is told to go there as a page would.
        body = f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(response["Location"])}">'.encode()
        return {"status": 200, "content_type": "text/html", "body": body}
    return {"status": response.status_code, "headers": dict(response.items()), "body": body}
