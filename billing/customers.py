"""Lifecycle of customers: add, suspend, resume, erase. Keywords only; raises ProblemError with what to do."""

import re
from typing import Final, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import OuterRef, Subquery
from django.utils.text import slugify

from billing import entitlements, erasing, locks, rounds
from billing.incidents import subscribing
from billing.invoices import ledger
from billing.models import Notice
from billing.sla import keeping
from tenants import services
from tenants.audit import recording
from tenants.changes import Changed, collision, normalised_name, notify_processes
from tenants.models import AuditEvent, Customer, Membership, Role
from tenants.problem import ProblemError

# Characters of why a customer is suspended or served again.
REASON_MAX: Final = 500
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def add(*, name: str, offer: str, slug: str = "") -> Changed[Customer]:
    """Add a customer, entitled to what its offer (hpns, eas, tpns) includes; the same again changes nothing."""
    name = normalised_name(name, "customer")
    slug = slug or slugify(name)[:64].strip("-")
    if not _SLUG.fullmatch(slug):
        raise ProblemError("the slug must be 1 to 64 of a-z, 0-9 and -, beginning with a letter or digit (give --slug)")
    if offer not in Customer.Offer.values:
        raise ProblemError(f"the offer must be one of {', '.join(Customer.Offer.values)}")
    try:
        with transaction.atomic():
            customer, created = Customer.objects.get_or_create(slug=slug, defaults={"name": name, "offer": offer})
            if created:
                entitlements.grant(customer=customer)
                recording.record("customer.add", customer=customer, target=name, offer=offer)
                notify_processes(customer.pk)
    except IntegrityError as error:
        raise collision(error) from error
    if not created and (customer.name, customer.offer) != (name, offer):
        raise ProblemError(
            f"there is a customer {slug} already, with the name {customer.name} and the offer {customer.offer}"
        )
    return Changed(customer, created)


class TakenOn(NamedTuple):
    """A new customer, and the invitation of its first owner, which is yet to be sent (services.invitation_send)."""

    customer: Customer
    invitation: services.NewInvitation


def take_on(*, name: str, offer: str, owner_email: str, slug: str = "", server_name: str = "") -> TakenOn:
    """Add a customer with its first server, and invite its first owner: all of it or nothing."""
    with transaction.atomic():
        made = add(name=name, offer=offer, slug=slug)
        if not made.changed:
            raise ProblemError(f"there is a customer {made.row.slug} already")
        if server_name.strip():
            services.server_add(customer=made.row, name=server_name)
        invitation = services.invitation_add(
            customer=made.row, email=owner_email, role=Role.OWNER, by=services.OPERATOR
        )
    return TakenOn(made.row, invitation)


def suspend(*, customer: Customer, reason: str) -> Changed[Customer]:
    """Refuse every push of this customer from now on. `changed` is False when it was suspended already.

    `reason`: why, in words that the customer reads, on its pages and in its audit log. Raises ProblemError without one.
    The e-mail to the owners is sent by billing/suspension_mails.py, after the commit.
    """
    if not reason.strip():
        raise ProblemError(
            "a reason is needed: it is what the customer reads on its pages and in the e-mail", field="reason"
        )
    return _set_status(customer, Customer.Status.SUSPENDED, "customer.suspend", reason)


def resume(*, customer: Customer, reason: str = "") -> Changed[Customer]:
    """Serve a suspended customer again. `changed` is False when it was served already; `reason` as above, or none."""
    return _set_status(customer, Customer.Status.ACTIVE, "customer.resume", reason)


def request_erasure(*, customer: Customer) -> Changed[Customer]:
    """Note that an owner wants the customer erased, and suspend it until the operator does so, or resumes it."""
    with transaction.atomic():
        customer = Customer.objects.select_for_update().get(pk=customer.pk)  # two may ask at once
        if erasure_request(customer=customer) is not None:
            return Changed(customer, changed=False)
        suspended, _ = suspend(customer=customer, reason="an owner asked for its erasure")
        recording.record("erasure.ask", customer=customer, target=customer.name)
    return Changed(suspended, changed=True)


def erasure_request(*, customer: Customer) -> AuditEvent | None:
    """The latest request for erasure, unless the customer was resumed since."""
    found = AuditEvent.objects.filter(customer_id=customer.pk, action__in=("erasure.ask", "customer.resume"))
    latest = found.order_by("-at", "-id").first()
    return latest if latest is not None and latest.action == "erasure.ask" else None


def erasure_requests() -> list[AuditEvent]:
    """The latest request of each customer whose owner asked for its erasure, and that is there and was not resumed;
    the oldest first."""
    asked = AuditEvent.objects.filter(action__in=("erasure.ask", "customer.resume"))
    latest = asked.filter(customer_id=OuterRef("pk")).order_by("-at", "-id").values("pk")[:1]
    events = Customer.objects.filter(status=Customer.Status.SUSPENDED).annotate(event=Subquery(latest)).values("event")
    return list(AuditEvent.objects.filter(pk__in=events, action="erasure.ask").order_by("at", "id"))


def erase(*, customer: Customer) -> services.Erased:
    """Delete a suspended customer with its entitlement and all that tenants keeps of it, in one transaction.

    What delivery keeps of it goes before (hpns/departure/erasure.py). Raises ProblemError for a customer that is
    served.
    """
    with transaction.atomic():
        locks.entitlement(customer.pk)
        with ledger.locked(customer.pk):
            keeping.hold()
        # Whoever adds a row to the customer meanwhile waits, and finds it gone.
        locked = locks.customer(customer.pk)
        if locked is None:
            raise ProblemError(f"{customer.slug} was erased in the meantime")
        check_suspended(locked)
        recording.record("customer.erase", customer=locked, target=locked.name, slug=locked.slug)
        erasing.erase(locked)
        entitlements.withdraw(customer=locked)
        _unsubscribe(locked)
        rounds.forget(locked.pk)
        erased = services.customer_erase(customer=locked)
        notify_processes(customer.pk)
    return erased


def _unsubscribe(customer: Customer) -> None:
    """Forget the addresses of the customer's contacts and people where they get mails of the status page."""
    people = Membership.objects.filter(customer=customer).values_list("user__email", flat=True)
    for email in {*customer.contacts, *people} - {""}:
        subscribing.leave(email=email)
        Notice.objects.filter(email=email.lower()).delete()


def check_suspended(customer: Customer) -> None:
    """Raise ProblemError unless the customer is suspended: its servers have to be told before."""
    if customer.status != Customer.Status.SUSPENDED:
        raise ProblemError(f"{customer.slug} is served: suspend it first (`customer suspend --slug {customer.slug}`)")


def _set_status(customer: Customer, status: Customer.Status, action: str, reason: str) -> Changed[Customer]:
    reason = " ".join(reason.replace("\0", " ").split())[:REASON_MAX]
    with transaction.atomic():
        changed = Customer.objects.filter(pk=customer.pk).exclude(status=status).update(status=status)
        if changed:
            recording.record(action, customer=customer, target=customer.name, reason=reason)
        notify_processes(customer.pk)
    customer.refresh_from_db()
    return Changed(customer, changed == 1)
