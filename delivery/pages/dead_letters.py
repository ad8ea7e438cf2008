"""The staff's board of dead letters: /admin/boards/dead-letters/. By cause: how many, to look at, replay and discard.

What a dead letter is, and for how long it is kept: delivery/queue/dead_letters.py. No content is shown or opened here:
what is replayed is moved in Valkey, sealed as it is, and the workers send it. Each act is in the audit log of each
customer that it concerns.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import redis
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from delivery.pages import board_parts as parts
from delivery.queue import dead_letters
from delivery.queue.dead_letters import Letter
from tenants import redis_client
from tenants.audit import recording

TIMEOUT: Final = 2.0
ACT: Final = "delivery.change_delivery"
ACTS: Final = {"replay": dead_letters.replaying, "discard": dead_letters.discarding}
DONE: Final = {"replay": "is sent once more", "discard": "was discarded"}
SEVERAL: Final = {"replay": "are sent once more", "discard": "were discarded"}
COLUMNS: Final = ("Push", "Customer", "Type", "Accepted", "Ended", "Attempts", "Kept until")


def board(request: HttpRequest) -> HttpResponse:
    """The causes with their counts; ?code= also the pushes of one; ?discard= asks once more before one is discarded.

    POST: act and code, of all pushes of a cause.
    """
    try:
        with redis_client.connect(TIMEOUT) as valkey:
            letters = _letters(valkey)
            if request.method == "POST" and request.POST.get("act") in ACTS:
                return _act(request, valkey, letters)
    except redis.RedisError:
        letters, problem = [], "Valkey does not answer, so that nobody knows what is kept."
    else:
        problem = ""
    going = [letter for letter in letters if letter.code == request.GET.get("discard", "")]
    if going:
        return _ask(request, going)
    code = request.GET.get("code", "")
    context = {
        "board": "boards-dead-letters",
        "board_title": "Dead letters",
        "answer": problem or _sentence(letters),
        "problem": problem,
        "causes": _causes(letters),
        "may_act": request.user.has_perm(ACT),
        "code": code,
        **_of_cause(request, [letter for letter in letters if letter.code == code]),
    }
    return render(request, "delivery/boards/dead_letters.html", context)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _letters(valkey: redis.Redis) -> list[Letter]:
    replies: list[bytes] = valkey.hvals(dead_letters.LETTERS)  # type: ignore[assignment]
    return dead_letters.read(replies, timezone.now().timestamp())


def _sentence(letters: Sequence[Letter]) -> str:
    if not letters:
        return "No push that failed after its server was told OK could still be sent."
    return f"{_counted(letters)} failed after their servers were told OK, and can still be sent once more."


def _counted(letters: Sequence[Letter]) -> str:
    what = "1 push" if len(letters) == 1 else f"{len(letters):,} pushes"
    customers = len({letter.customer for letter in letters})
    return f"{what} of {'1 customer' if customers == 1 else f'{customers:,} customers'}"


def _causes(letters: Sequence[Letter]) -> list[dict[str, Any]]:
    """Of each cause its code, how many pushes of how many customers, and since and until when; the most first."""
    counts = Counter(letter.code for letter in letters)
    found = []
    for code, count in counts.most_common():
        of_it = [letter for letter in letters if letter.code == code]
        found.append(
            {
                "code": code,
                "count": count,
                "customers": len({letter.customer for letter in of_it}),
                "since": _moment(min(letter.ended_at for letter in of_it)),
                "until": _moment(min(letter.until for letter in of_it)),
            }
        )
    return found


def _of_cause(request: HttpRequest, letters: list[Letter]) -> dict[str, Any]:
    shown, pages = parts.page(request, letters)
    names = parts.customers(letter.customer for letter in shown)
    rows = [
        [
            {"href": reverse("admin:delivery_delivery_change", args=(letter.trace,)), "text": letter.trace},
            parts.link(names.get(letter.customer), letter.customer),
            letter.type,
            {"at": _moment(letter.at)},
            {"at": _moment(letter.ended_at)},
            letter.attempts,
            {"at": _moment(letter.until), "exact": True},
        ]
        for letter in shown
    ]
    return {"rows": rows, "columns": parts.columns(*COLUMNS), **pages}


def _ask(request: HttpRequest, letters: Sequence[Letter]) -> HttpResponse:
    """The page that asks once more whether all pushes of a cause shall be discarded."""
    if not request.user.has_perm(ACT):
        raise PermissionDenied
    context = {"board_title": f"Discard what failed with {letters[0].code}", "counted": _counted(letters)}
    return render(
        request, "delivery/boards/discard.html", {**context, "code": letters[0].code, "one": len(letters) == 1}
    )


def _act(request: HttpRequest, valkey: redis.Redis, letters: list[Letter]) -> HttpResponse:
    """Replay or discard all pushes of a cause that are listed."""
    if not request.user.has_perm(ACT):
        raise PermissionDenied
    act, code = request.POST["act"], request.POST.get("code", "")
    chosen = [letter for letter in letters if letter.code == code]
    count = 0
    with transaction.atomic():  # what Valkey refuses is not recorded
        for customer, pushes in Counter(letter.customer for letter in chosen).items():
            done = "letter.replay" if act == "replay" else "letter.discard"
            recording.record(done, customer=customer, target=code, code=code, pushes=pushes)
        if chosen:
            traces = [letter.trace for letter in chosen]
            found: list[bytes] = valkey.execute_command(*ACTS[act](traces))  # type: ignore[no-untyped-call]
            count = len(found)
    what = f"1 push {DONE[act]}." if count == 1 else f"{count:,} pushes {SEVERAL[act]}."
    messages.success(request, what)
    return HttpResponseRedirect(reverse("admin:boards-dead-letters"))
