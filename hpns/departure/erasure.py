"""Erases a customer in every app, as the owner of the database: `manage.py customer erase`.

Invariant: the customer's own row goes last, so that what was interrupted can be done again, by the same command.
"""

from typing import Any, Final

from billing import customers
from billing.erasing import ROWS as BILLING
from billing.invoices import erasing as invoices_erasing
from delivery import selectors
from delivery.devices import forgetting
from delivery.log import erasing
from tenants.models import AuditEvent, Customer
from tenants.services.erasing import ROWS, agreements, leavers

# Deliveries are counted no further for a plan.
COUNTED: Final = 1_000_000


def plan(*, customer: Customer) -> dict[str, Any]:
    """What erasing this customer deletes, and what stays. Raises ProblemError for one that is served."""
    customers.check_suspended(customer)
    kept = agreements(customer.pk).count()
    deliveries = selectors.count_up_to(selectors.of_customer(customer.pk), COUNTED)
    rows = {
        model._meta.verbose_name_plural: model.objects.filter(**{lookup: customer.pk}).count()
        for model, lookup in (*BILLING, *ROWS)
    }
    return {
        "slug": customer.slug,
        "name": customer.name,
        "deletes": {
            **{str(name): count for name, count in rows.items()},
            "deliveries": f"{COUNTED} or more" if deliveries == COUNTED else deliveries,
            "audit events": AuditEvent.objects.filter(customer_id=customer.pk).count() - kept,
            "accounts": [user.email for user in leavers(customer)],
        },
        "keeps": {
            "audit events of what was agreed on, without persons": kept,
            invoices_erasing.KEPT: invoices_erasing.kept(customer.pk),
        },
        "cannot_reach": "backups that were made before",
    }


def erase(*, customer: Customer) -> dict[str, Any]:
    """Delete it. What went. Raises ProblemError for a customer that is served."""
    customers.check_suspended(customer)
    customer_id, slug, name = customer.pk, customer.slug, customer.name
    deliveries, devices = erasing.erase(customer_id), forgetting.erase(customer_id)
    erased = customers.erase(customer=customer)
    # What was on its way meanwhile.
    deliveries += erasing.erase(customer_id)
    devices += forgetting.erase(customer_id)
    return {
        "slug": slug,
        "name": name,
        "deleted": {
            "deliveries": deliveries,
            "rows of devices": devices,
            "accounts": erased.accounts,
            "audit events": erased.events,
        },
        "kept": {
            "audit events of what was agreed on, without persons": erased.kept,
            invoices_erasing.KEPT: invoices_erasing.kept(customer_id),
        },
        "cannot_reach": "backups that were made before",
    }
