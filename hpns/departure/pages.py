"""Pages of offboarding: an owner takes along what the customer owns, and asks for its erasure.

They are /c/<slug>/settings/export/ and /c/<slug>/settings/erase/.
"""

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render

from billing import customers
from hpns.departure.export import writing
from hpns.departure.export.kinds import KINDS
from tenants import mail
from tenants.audit import recording
from tenants.pages.door import CustomerRequest, customer_page
from tenants.pages.forms import ConfirmForm


@customer_page("customer.export", change="customer.export")
def export(request: CustomerRequest) -> HttpResponseBase:
    """Say what the archive holds; by POST, download it."""
    if request.method != "POST":
        return render(request, "hpns/export.html", {"kinds": KINDS, "days": settings.RETENTION_DAYS})
    recording.record("customer.export", customer=request.customer, target=request.customer.name)
    chunks = _async_chunks(writing.export(request.customer))
    answer = StreamingHttpResponse(chunks, content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="{request.customer.slug}.zip"'
    answer["Content-Encoding"] = "identity"  # it is packed already
    return answer


@customer_page("customer.erase", change="customer.erase", recent_login=True)
def erase(request: CustomerRequest) -> HttpResponse:
    """Say what erasing means; with the slug typed by POST, suspend the customer and tell the operator."""
    form = ConfirmForm(request.POST or None, expected=request.customer.slug, what="the slug")
    if request.method == "POST" and form.is_valid():
        changed = customers.request_erasure(customer=request.customer)
        if changed.changed:
            transaction.on_commit(lambda: _notify_operator(request))
        return redirect("customer-erase", request.customer.slug)
    context = {
        "form": form,
        "erasure_request": customers.erasure_request(customer=request.customer),
        "years": settings.AGREEMENT_YEARS,
        "support": settings.SUPPORT_CONTACT,
    }
    return render(request, "hpns/erase.html", context)


def _notify_operator(request: CustomerRequest) -> None:
    """Notify the operator by e-mail, once it is committed; the next page says whether that went well.

    The audit log says it anyway.
    """
    context = {"customer": request.customer, "user": request.user}
    notified = False
    for address in settings.OPERATOR_EMAIL:
        try:
            mail.send("hpns/mail/erasure_asked", to=address, context=context)
            notified = True
        except mail.MailError:
            continue  # logged there
    if notified:
        messages.success(request, "The operator has been told by e-mail.")
    else:
        messages.error(request, f"The operator could not be told by e-mail: write to {settings.SUPPORT_CONTACT}.")


async def _async_chunks(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    following = sync_to_async(lambda: next(chunks, None))
    while (chunk := await following()) is not None:
        yield chunk
