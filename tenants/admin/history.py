"""What the audit log tells of an object of the admin: its HISTORY. Django's own log is written by a part of the forms
alone, and neither by customers nor by commands."""

from functools import reduce
from operator import or_
from typing import Any, Final

from django.contrib.auth.models import User
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from tenants import staff_roles
from tenants.models import AuditEvent, Credential, Customer, PushApp, Server, ServerId, ServerKey

SHOWN: Final = 200
# The nouns of the actions whose target_id is such an object's.
_NOUNS: Final[dict[type[Model], tuple[str, ...]]] = {
    Server: ("server", "site"),
    ServerKey: ("key",),
    PushApp: ("app",),
    Credential: ("credential",),
    User: ("person", "account", "second_factor", "staff"),
}


def visible(request: HttpRequest, events: "QuerySet[AuditEvent]") -> "QuerySet[AuditEvent]":
    """Those of the events that the reader's role includes."""
    for permission, nouns in staff_roles.NOUNS.items():
        if not request.user.has_perm(permission):
            events = events.exclude(reduce(or_, (Q(action__startswith=f"{noun}.") for noun in nouns)))
    return events


def of(request: HttpRequest, row: Any) -> tuple[list[AuditEvent], bool]:
    """The events of an object, the latest first, and whether they are of its whole customer: where none name it."""
    whole = False
    if isinstance(row, Customer):
        wanted = Q(customer_id=row.pk)
    elif type(row) in _NOUNS:
        nouns = reduce(or_, (Q(action__startswith=f"{noun}.") for noun in _NOUNS[type(row)]))
        wanted = nouns & Q(target_id=row.pk)
        if isinstance(row, User):
            wanted |= Q(actor_id=row.pk, actor_kind__in=(AuditEvent.Kind.MEMBER, AuditEvent.Kind.STAFF))
    elif isinstance(row, ServerId):
        wanted = Q(action__startswith="server_id.", target=row.mattermost_id)
    else:
        customer = getattr(row, "customer_id", None)
        wanted, whole = Q(customer_id=customer) if customer else Q(pk=None), True
    rows = visible(request, AuditEvent.objects.filter(wanted)).order_by("-at", "-id")
    return list(rows[:SHOWN]), whole
