"""Sends the mails that wait (Notice): each to one address, and each once.

A row is locked while its mail is sent and deleted with it, so that two who send at once send each once; what a mail
server does not take is tried again for some days.
"""

import logging
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.urls import reverse

from billing.incidents import announcing, subscribing
from billing.incidents.components import named
from billing.models import Incident, MaintenanceWindow, Notice
from tenants import mail
from tenants.problem import ProblemError

logger = logging.getLogger(__name__)

# Mails of one call, which the timetable makes once a minute.
MOST: Final = 200
TRIES_MAX: Final = 12


def send_due(now: datetime, most: int = MOST) -> int:
    """Send what is due; how many mails went out."""
    sent = 0
    for _ in range(most):
        with transaction.atomic():
            row = Notice.objects.select_for_update(skip_locked=True).filter(due_at__lte=now).first()
            if row is None:
                break
            sent += _send(row, now)
    return sent


def _send(row: Notice, now: datetime) -> int:
    context = context_of(row.kind, row.subject_id)
    if context is None:
        row.delete()
        return 0
    headers = {}
    try:
        if row.subscriber:
            link = mail.link(reverse("status-leave", args=(subscribing.leaving_token(row.email),)))
            headers = {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
            context["leave"] = link
        context["status"] = mail.link(reverse("status"))
        mail.send(f"billing/mail/{row.kind}", to=row.email, context=context, headers=headers)
    except ProblemError as problem:
        row.tries += 1
        if row.tries >= TRIES_MAX:
            logger.error("a mail about the service is given up after %d tries: %s", row.tries, problem)
            row.delete()
        else:
            row.due_at = now + timedelta(minutes=2**row.tries)
            row.save(update_fields=("tries", "due_at"))
        return 0
    row.delete()
    return 1


def context_of(kind: str, subject: int) -> dict[str, Any] | None:
    """What the templates of a kind of mail need; None for a subject that is no more."""
    if kind == Notice.Kind.INCIDENT:
        incident = Incident.objects.filter(pk=subject).first()
        return None if incident is None else incident_context(incident)
    window = MaintenanceWindow.objects.filter(pk=subject).first()
    return None if window is None else window_context(window)


def incident_context(incident: Incident) -> dict[str, Any]:
    """The same of an incident, published or not: its latest update is what the mail says."""
    updates = list(incident.updates.all()) if incident.pk else []
    return {"incident": incident, "components": named(incident.components), "updates": updates}


def window_context(window: MaintenanceWindow) -> dict[str, Any]:
    """The same of a maintenance window."""
    return {"window": window, "components": named(window.components), "ahead": announcing.AHEAD.total_seconds() // 3600}
