"""The status page as documents: HTML that stands alone, JSON and an Atom feed (RFC 4287).

The HTML needs nothing from anywhere: style and script stand in it, and its policy (Content-Security-Policy) names both
by their hashes, so that it may be served from any host. It says itself how old its figures are.
"""

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin
from xml.sax.saxutils import escape, quoteattr

from django.conf import settings
from django.template.loader import get_template, render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from billing.incidents.components import named
from billing.incidents.status import WORDS, Bar, ComponentStatus, Status
from billing.models import Incident, MaintenanceWindow

KINDS: Final = {"warn": "warn", "bad": "bad", "good": "good", "maintenance": "busy", "unknown": "none"}
# Of a day's bar: from how many bad minutes on it is one of trouble, and one of an outage.
WARN_FROM, BAD_FROM = 1, 30
FEED_MOST: Final = 30


class Documents(NamedTuple):
    """All of it. state and sentence: of the foot of the pages."""

    html: str
    json: str
    atom: str
    state: str
    sentence: str


def documents(status: Status) -> Documents:
    """The documents of a status."""
    return Documents(html(status), as_json(status), atom(status), status.state, status.sentence)


def policy() -> str:
    """The Content-Security-Policy of the page: its own style and script, and nothing else of anywhere."""
    return (
        f"default-src 'none'; style-src {_hash(_style())}; script-src {_hash(_script())}; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def html(status: Status) -> str:
    """The page."""
    context = {
        "status": status,
        "kind": KINDS[status.state],
        "components": [_shown(each) for each in status.components],
        "open": [_incident(each) for each in status.open],
        "coming": [{"row": each, "components": named(each.components)} for each in status.coming],
        "history": [_incident(each) for each in status.history],
        "style": SafeString(_style()),
        "script": SafeString(_script()),
        # A page that is served from elsewhere cannot say who may frame it.
        "policy": policy().replace("; frame-ancestors 'none'", ""),
        "here": _here("status"),
        "feed": "feed.atom",
        "json": "status.json",
        "subscribe": _here("status-subscribe"),
        "home": _here("home"),
    }
    return str(render_to_string("billing/status/page.html", context))


def _here(name: str) -> str:
    return str(urljoin(settings.PUBLIC_URL, reverse(name)))


def _style() -> str:
    return str(get_template("billing/status/style.css").render())


def _script() -> str:
    return str(get_template("billing/status/age.js").render())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _shown(each: ComponentStatus) -> dict[str, Any]:
    bars = [{"x": 4 * place, "kind": _kind(bar), "title": _title(bar)} for place, bar in enumerate(each.days)]
    return {
        "of": each,
        "kind": KINDS[each.state],
        "bars": bars,
        "width": 4 * len(bars) - 1,
        "uptime": "No figures yet" if each.uptime is None else f"{each.uptime:.2f} %",
        "summary": f"{each.name}: {len(bars)} days, {sum(bar.minutes.bad for bar in each.days):,} minutes failed.",
    }


def _kind(bar: Bar) -> str:
    if not bar.minutes.good and not bar.minutes.bad:
        return "none"
    return "bad" if bar.minutes.bad >= BAD_FROM else "warn" if bar.minutes.bad >= WARN_FROM else "good"


def _title(bar: Bar) -> str:
    day = f"{bar.day.day} {bar.day:%b %Y}"
    if not bar.minutes.good and not bar.minutes.bad:
        return f"{day}: no figures"
    bad = bar.minutes.bad
    return f"{day}: {'nothing failed' if not bad else f'{bad} minute' + ('' if bad == 1 else 's') + ' failed'}"


def _incident(row: Incident) -> dict[str, Any]:
    return {"row": row, "components": named(row.components), "updates": list(row.updates.all())}


def as_json(status: Status) -> str:
    """The same for machines; times are RFC 3339 in UTC, uptime is in percent and cut, never rounded up."""
    told = {
        "state": status.state,
        "sentence": status.sentence,
        "as_of": _time(status.as_of),
        "made_at": _time(status.made_at),
        "components": [
            {
                "key": each.key,
                "name": each.name,
                "state": each.state,
                "since": _time(each.since),
                "uptime_percent": each.uptime,
                "days": [{"day": bar.day.isoformat(), **bar.minutes._asdict()} for bar in each.days],
            }
            for each in status.components
        ],
        "incidents": [_incident_json(each) for each in (*status.open, *status.history)],
        "maintenance": [_window_json(each) for each in status.coming],
    }
    return json.dumps(told, ensure_ascii=False, indent=1) + "\n"


def _incident_json(row: Incident) -> dict[str, Any]:
    updates = [{"at": _time(each.at), "text": each.text} for each in row.updates.all()]
    return {
        "id": row.pk,
        "title": row.title,
        "components": row.components,
        "impact": row.impact,
        "started_at": _time(row.started_at),
        "resolved_at": _time(row.resolved_at),
        "updates": updates,
    }


def _window_json(row: MaintenanceWindow) -> dict[str, Any]:
    return {
        "id": row.pk,
        "title": row.title,
        "text": row.text,
        "components": row.components,
        "starts_at": _time(row.starts_at),
        "ends_at": _time(row.ends_at),
        "announced_at": _time(row.published_at),
    }


def _time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def atom(status: Status) -> str:
    """The feed: an entry for each incident, as of its latest update, and for each announced maintenance."""
    here = _here("status")
    entries = [_incident_entry(each, here) for each in (*status.open, *status.history)]
    entries += [_window_entry(each, here) for each in status.coming]
    entries.sort(reverse=True)
    updated = entries[0][0] if entries else status.made_at
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom">',
        "<title>Status of the push notification service</title>",
        f"<id>{escape(here)}</id>",
        f"<updated>{_time(updated)}</updated>",
        "<author><name>Push notification service</name></author>",
        f'<link rel="alternate" type="text/html" href={quoteattr(here)}/>',
        *(entry for _, entry in entries[:FEED_MOST]),
        "</feed>",
        "",
    ]
    return "\n".join(lines)


def _incident_entry(row: Incident, here: str) -> tuple[datetime, str]:
    updates = list(row.updates.all())
    updated = max([row.started_at, *(each.published_at or each.at for each in updates)])
    text = "\n\n".join(f"{each.at:%Y-%m-%d %H:%M} UTC: {each.text}" for each in updates)
    title = f"{'Resolved' if row.resolved_at else 'Incident'}: {row.title}"
    return updated, _entry(f"{here}#incident-{row.pk}", title, updated, text)


def _window_entry(row: MaintenanceWindow, here: str) -> tuple[datetime, str]:
    updated = row.published_at or row.created_at
    text = f"{row.starts_at:%Y-%m-%d %H:%M} to {row.ends_at:%Y-%m-%d %H:%M} UTC. {row.text}"
    return updated, _entry(f"{here}#maintenance-{row.pk}", f"Maintenance: {row.title}", updated, text)


def _entry(name: str, title: str, updated: datetime, text: str) -> str:
    return (
        f"<entry><id>{escape(name)}</id><title>{escape(_plain(title))}</title><updated>{_time(updated)}</updated>"
        f'<link href={quoteattr(name)}/><content type="text">{escape(_plain(text))}</content></entry>'
    )


def _plain(text: str) -> str:
    """Without what XML 1.0 has no place for: a text is typed or pasted by people."""
    return "".join(each for each in text if each in "\t\n" or each >= " ")


__all__ = ["WORDS", "Documents", "as_json", "atom", "documents", "html", "policy"]
