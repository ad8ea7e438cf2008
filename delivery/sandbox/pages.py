"""The sandbox's one page, *the phone*: rendered here whole, and in its live part again whenever something came.

There is one renderer, for those with and without script: the script only fetches the live part and fits it in. The
templates are Django's language through its engine alone; settings and models stay out. Invariants: all text is escaped
by the engine; the page loads nothing from elsewhere and runs nothing inline (Content-Security-Policy).
"""

import datetime
import json
import secrets
import shlex
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from django.template import Context, Engine

from delivery.sandbox.behaviours import TABLE
from delivery.sandbox.journal import Entry, Journal
from delivery.sandbox.phone import Phone, Phones, Shown, delivered, short
from delivery.sandbox.web import WebRequest, WebResponse, error_response

ROOT = Path(__file__).resolve().parent.parent.parent
STATIC = ROOT / "delivery" / "static" / "delivery" / "sandbox"
FILES = {"phone.css": "text/css", "phone.js": "text/javascript", "icon.svg": "image/svg+xml"}
CLOCK = "@clock@"  # the shell puts the time in its place: each run of the command is a push of its own
MOST_GROUPS = 5
MOST_IN_GROUP = 8
MOST_ROWS = 12
NAMES = {"apns": "Apple", "fcm": "Google", "oauth": "Google, token"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SAFE = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cache-control", "no-store"),
]


class Pages:
    """Answers everything that is not the API."""

    def __init__(self, journal: Journal, run_file: Path | None) -> None:
        """run_file: the JSON of the running demo; its `push_url` makes the command that sends a push."""
        self._journal, self._run_file = journal, run_file
        self._phones = Phones(journal)
        self._engine = Engine(dirs=[str(ROOT / "templates")])
        self._device = secrets.token_hex(32)
        self._random = secrets.token_hex(4)

    def answer(self, request: WebRequest) -> WebResponse:
        """One request."""
        match request.method, request.path:
            case (("GET" | "HEAD"), "/"):
                return self._page("page.html")
            case "GET", "/live":
                return self._page("live.html")
            case "POST", "/empty":
                self._phones.clear()
                self._journal.wake()
                return WebResponse(status=303, content_type="text/plain", headers=[("location", "/")])
            case "GET", path if path.removeprefix("/static/") in FILES:
                name = path.removeprefix("/static/")
                return WebResponse(
                    content_type=FILES[name] + "; charset=utf-8", body=(STATIC / name).read_bytes(), headers=SAFE
                )
        return error_response(404, "nothing here; the page is at /, the API under /api/")

    def _page(self, template: str) -> WebResponse:
        self._phones.update()
        html = self._engine.get_template(f"delivery/sandbox/{template}").render(Context(self._context()))
        return WebResponse(content_type="text/html; charset=utf-8", body=html.encode(), headers=SAFE)

    def _context(self) -> dict[str, Any]:
        phones = self._phones
        entries = [_row(entry) for entry in islice(reversed(self._journal.entries), MOST_ROWS)]
        return {
            "sentence": self._sentence(),
            "phones": [_phone(phones.iphone, "iphone"), _phone(phones.android, "android")],
            "nothing": not phones.iphone.total and not phones.android.total,
            "rows": entries,
            "commands": list(self._commands()),
            "behaviours": [row._asdict() for row in TABLE],
            "now": _moment(time.time()),
        }

    def _sentence(self) -> str:
        """A sentence on what happened last."""
        journal = self._journal
        # The service asks about a credential by a push that is for nobody: those are no pushes to people.
        pushes = sum(journal.received[provider] - journal.asked[provider] for provider in ("apns", "fcm"))
        good = sum(journal.answered[answer] - journal.asked[answer] for answer in ("apns 200", "fcm 200"))
        if not pushes:
            return "No push yet."
        count = "1 push" if pushes == 1 else f"{pushes:,} pushes"
        if good == pushes:
            return f"{count} came, and {'it was' if pushes == 1 else 'all were'} delivered."
        return f"{count} came: {good:,} delivered, {pushes - good:,} refused or failed on purpose."

    def _commands(self) -> Iterator[dict[str, str]]:
        """The commands that send one push to each phone, when a service is known that would take them."""
        try:
            push_url = json.loads(self._run_file.read_bytes())["push_url"] if self._run_file else ""
        except (OSError, ValueError, KeyError, TypeError):
            return  # no demo runs here: the page says how to start one
        if not isinstance(push_url, str) or not push_url.startswith(("http://", "https://")):
            return
        if not push_url.endswith("/api/v1/send_push"):
            push_url = push_url.rstrip("/") + "/api/v1/send_push"
        android = f"{self._random}:APA91b{self._device}"
        for name, platform, device in (
            ("iPhone", "apple_rn-v2", self._device),
            ("Android phone", "android_rn-v2", android),
        ):
            push = {
                "type": "message",
                "platform": platform,
                "device_id": device,
                "server_id": "curl",
                "ack_id": CLOCK,
                "post_id": CLOCK,
                "channel_id": "town-square",
                "channel_name": "Town Square",
                "sender_name": "alice",
                "message": "alice: Lunch at noon?",
                "badge": 1,
                "version": "v2",
            }
            body = shlex.quote(msgspec.json.encode(push).decode()).replace(CLOCK, "'$(date +%s)'")
            yield {"name": name, "text": f"curl -d {body} {shlex.quote(push_url)}"}


def _moment(at: float) -> dict[str, str]:
    """A time for a <time> element: machine-readable, and for those without script in UTC."""
    when = datetime.datetime.fromtimestamp(at, datetime.UTC)
    return {"iso": when.isoformat(timespec="milliseconds"), "text": f"{when:%H:%M:%S} UTC"}


def _phone(phone: Phone, system: str) -> dict[str, Any]:
    groups = phone.groups()
    call = phone.ringing(time.time())
    badges = phone.badges or {"Mattermost": 0}
    return {
        "name": phone.name,
        "system": system,
        "total": f"{phone.total:,}",
        "groups": [_group(group) for group in groups[:MOST_GROUPS]],
        "hidden": str(sum(len(group) for group in groups[MOST_GROUPS:]) or ""),
        "call": _card(call) if call else None,
        "silent": [
            {"number": str(one.number), "kind": one.kind, "text": one.text, "time": _moment(one.at)}
            for one in reversed(phone.silent)
        ],
        "apps": [
            {"name": app, "letter": app[:1].upper(), "badge": str(min(count, 9999)) if count > 0 else ""}
            for app, count in list(badges.items())[:4]
        ],
    }


def _group(group: list[Shown]) -> dict[str, Any]:
    return {
        "first": _card(group[0]),
        "more": [_card(one) for one in group[1:MOST_IN_GROUP]],
        "count": str(len(group) - 1),
        "thread": group[0].thread,
    }


def _card(one: Shown) -> dict[str, Any]:
    return {
        "number": str(one.number),
        "app": one.app,
        "letter": (one.title or one.app)[:1].upper(),
        "title": one.title,
        "body": one.body,
        "kind": one.kind,
        "thread": short(one.thread),
        "device": short(one.device, 10),
        "marks": list(one.marks),
        "time": _moment(one.at),
    }


def _row(entry: Entry) -> dict[str, Any]:
    """One line of what the sandbox was sent."""
    request, good = entry.request, delivered(entry.answer)
    to = NAMES.get(entry.provider, "nobody")
    if entry.provider == "apns" and ("sandbox" in request.host or "development" in request.host):
        to = "Apple, sandbox"
    return {
        "number": str(entry.number),
        "time": _moment(request.at),
        "to": to,
        "kind": _kind(entry),
        "device": short(entry.token.removeprefix("oauth:"), 22),
        "good": good,
        "result": "given" if good and entry.provider == "oauth" else "delivered" if good else entry.answer.summary(),
        "why": entry.why or ("by a script" if entry.by == "script" else ""),
    }


def _kind(entry: Entry) -> str:
    """A push's type as Mattermost names it, with Apple's push type when it is not the usual one."""
    data = entry.data() if entry.provider in ("apns", "fcm") else None
    if isinstance(data, dict) and entry.provider == "fcm":
        data = data.get("message")
        data = data.get("data") if isinstance(data, dict) else None
    kind = data.get("type") if isinstance(data, dict) else None
    push_type = entry.request.headers.get("apns-push-type", "alert")
    return " ".join([str(kind)[:40] if kind else "", "" if push_type == "alert" else push_type[:20]]).strip()
