"""The pages of one push and of a post's pushes: /c/<slug>/delivery/<trace>/, /c/<slug>/delivery/posts/<post id>/"""

from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render

from delivery.insight import pushes, timeline
from delivery.insight.catalogue import ENTRIES, whose
from delivery.log import acknowledged, looking
from delivery.models import Delivery
from delivery.pages import push_words
from delivery.pages.push_words import address
from tenants import keyset
from tenants.models import PushApp
from tenants.pages.door import CustomerRequest, customer_page

# By what a search has led to a page, and how the page says so.
SEARCHED: Final = {
    "trace": "the trace id {trace}",
    "ack": "the ack id {ack}",
    "post": "the post {post}",
    "link": "the permalink of the post {post}",
    "line": "a line of a log that names this push",
}
POST_MOST: Final = 64


@customer_page("delivery.see")
def push(request: CustomerRequest, trace: str) -> HttpResponse:
    """The life of one push."""
    row = pushes.by_trace(trace)
    if row is None:
        raise Http404
    receipts = acknowledged.receipts_of(row)
    entry = ENTRIES.get(row.code)
    context = {
        "push": row,
        "answer": push_words.answer(row, receipts),
        "kind": "good" if row.outcome == push_words.SENT else "warn" if row.outcome == "gone" else "bad",
        "steps": timeline.of(row, receipts),
        "entry": entry if row.outcome != push_words.SENT else None,
        "advice": entry.advice_for(row.attribution) if entry else "",
        "whose": whose(row.attribution, entry.provider if entry else timeline.family(row)),
        "searched": _searched(request, trace=row.trace, ack=row.ack_id, post=row.post_id),
        "forgotten_on": pushes.forgotten_on(row),
        "retention_days": settings.RETENTION_DAYS,
        **_of_post(row),
        **_links(request.customer.slug, row),
    }
    return render(request, "delivery/pushes/push.html", context)


@customer_page("delivery.see")
def post(request: CustomerRequest, post_id: str) -> HttpResponse:
    """All pushes of a post, with what came of them: `?code=` those with one code, `?before=` the next page."""
    rows = pushes.of_post(post_id) if len(post_id) <= POST_MOST else Delivery.by_id.none()
    splits = pushes.split(rows)
    if not splits:
        raise Http404
    before, code = keyset.parse(request.GET.get("before", "")), request.GET.get("code", "")
    chosen = {"code": code} if code else {}
    rows = pushes.within(rows, splits)
    found, following = pushes.page(rows.filter(**chosen), before, min(each.first_at for each in splits))
    receipts, slug = acknowledged.receipts(found), request.customer.slug
    context = {
        "post_id": post_id,
        "sentence": push_words.split_sentence(splits, pushes.count_acknowledged(rows)),
        "searched": _searched(request, post=post_id),
        "split_columns": push_words.SPLIT_COLUMNS,
        "split_rows": [push_words.split_row(each) for each in splits],
        "columns": push_words.COLUMNS,
        "rows": [push_words.row(slug, row, receipts) for row in found],
        "code": code,
        "newest": f"?{urlencode(chosen)}" if before else "",
        "older": f"?{urlencode({**chosen, 'before': str(following)})}" if following else "",
        "forgotten_on": pushes.forgotten_on(found[0]) if found else None,
    }
    return render(request, "delivery/pushes/post.html", context)


def _searched(request: CustomerRequest, **ids: str) -> str:
    words = SEARCHED.get(request.GET.get("by", ""), "")
    try:
        return words.format(**ids)
    except KeyError:
        return ""


def _of_post(row: Delivery) -> dict[str, Any]:
    """What came of the pushes of its post, of about the same time, where there are others."""
    splits = pushes.split(pushes.of_post(row.post_id).filter(looking.near(row.accepted_at))) if row.post_id else []
    others = pushes.total(splits) - row.count
    return {"others": others, "of_post": push_words.split_sentence(splits, 0) if others > 0 else ""}


def _links(slug: str, row: Delivery) -> dict[str, str]:
    """The pages of what a push has to do with; "" for what has none."""
    own = row.app_id is not None and PushApp.objects.filter(pk=row.app_id).exists()
    return {
        "server_url": address("server", slug, row.server.public_id),
        "app_url": address("app", slug, row.app_id) if own else "",
        "post_url": address("post", slug, row.post_id) if row.post_id else "",
        "device_url": address("device", slug, row.device) if row.device else "",
    }
