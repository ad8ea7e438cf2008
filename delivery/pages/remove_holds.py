"""The page's part that ends a hold on removing devices, by an owner's word."""

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect

from tenants import services
from tenants.models import PushApp, RemoveHold
from tenants.pages.door import CustomerRequest, customer_page
from tenants.problem import ProblemError


def holds(app: PushApp | None = None) -> QuerySet[RemoveHold]:
    """The holds of one app, or (None) of the operator's, in the customer's scope."""
    rows = RemoveHold.objects.exclude(held_at=None).select_related("app")
    return rows.filter(app__customer=None) if app is None else rows.filter(app=app)


@customer_page("remove.release", methods=("POST",))
def release(request: CustomerRequest, hold: int) -> HttpResponse:
    """Let the customer's devices be removed again."""
    row = RemoveHold.objects.filter(pk=hold, customer=request.customer).select_related("app").first()
    if row is None:
        raise Http404
    try:
        done = services.remove_hold_release(hold=row, by_hand=True)
    except ProblemError as problem:
        messages.error(request, problem.sentence)
    else:
        said = f"Devices of {row.app.label} are removed again." if done.changed else "It has ended already."
        messages.success(request, said)
    if row.app.customer_id is None:
        return redirect("apps", request.customer.slug)
    return redirect("app", request.customer.slug, row.app_id)
