"""Reconciliation for programs: POST /api/v1/sla/reconcile with a server key; ids or log lines in, JSON out.

The body is JSON, {"ack_ids": ["...", ...]}, or (any other type) text: an id or a line of the server's log on each line.
The answer, of at most 10,000 ids at once:

    {"asked": 2, "known": 1, "failed_by_us": 0, "unclear_lines": 0,
     "pushes": [{"ack_id": "...", "known": true, "minute": "2026-11-29T00:01Z", "outcome": "sent", "code": "sent",
                 "counted": "valid", "minute_verdict": "ok", "trace": "..."}, ...]}

What the words mean: billing/sla/reconciling.py. "minute_verdict" is "" for an idle good minute or one not judged yet.
"""

import json
from http import HTTPStatus
from typing import Any, Final

from django.http import HttpResponseBase, JsonResponse

from billing.sla.reconciling import LONGEST, MOST, Named, Reconciled, named, reconcile
from tenants.pages.machine_door import MachineRequest, error, machine_page

MOST_BYTES: Final = 1024 * 1024


@machine_page
def page(request: MachineRequest) -> HttpResponseBase:
    """What became of each."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BYTES:
        return error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "Send at most 1 MiB, in parts.")
    found = _given(request)
    if found is None:
        return error(HTTPStatus.BAD_REQUEST, "unreadable", 'Send {"ack_ids": ["...", ...]}, or lines of text.')
    if found.too_many:
        return error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many", f"Send at most {MOST:,} ack_ids, in parts.")
    if not found.ack_ids:
        return error(HTTPStatus.BAD_REQUEST, "no_ack_id", "No ack_id was found.")
    rows = list(reconcile(request.customer, found.ack_ids))
    return JsonResponse(
        {
            "asked": len(found.ack_ids),
            "known": len({row.ack_id for row in rows if row.known}),
            "failed_by_us": sum(row.counted == "failed by us" for row in rows),
            "unclear_lines": found.unclear,
            "pushes": [_shown(row) for row in rows],
        }
    )


def _given(request: MachineRequest) -> Named | None:
    """The ids of the body; None for JSON of another form."""
    if request.content_type != "application/json":
        return named(request.body.decode("utf-8", errors="replace").replace("\0", " "))
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    ids = body.get("ack_ids") if isinstance(body, dict) else None
    if not isinstance(ids, list) or not all(_is_id(each) for each in ids):
        return None
    once = [*dict.fromkeys(ids)]
    return Named(once[:MOST], 0, too_many=len(once) > MOST)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST and "\0" not in value


def _shown(row: Reconciled) -> dict[str, object]:
    minute = f"{row.minute:%Y-%m-%dT%H:%MZ}" if row.minute else None
    shown = row._asdict()
    verdict = shown.pop("verdict")
    return {**shown, "minute": minute, "minute_verdict": verdict}
