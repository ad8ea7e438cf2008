"""The order in which billing locks what is a customer's, so that no two transactions wait for each other.

    1. the entitlement                   entitlement(): whoever judges, proves, is paid, changes an offer, erases
    2. the customer's ledger of amounts  billing/invoices/ledger.py locked()
    3. the service's ledger of the SLA   billing/sla/keeping.py hold()
    4. the customer's own row            explicitly, or by a row that is added and points at it

Whoever needs a later one alone takes it alone; nobody takes an earlier one after a later one.
"""

from tenants.models import Customer, Entitlement


def entitlement(customer_id: int) -> Entitlement | None:
    """Lock a customer's entitlement until the transaction ends; None for a customer that was erased."""
    # Of itself alone: the customer's row, which it is ordered by, comes last, and not every role may lock it.
    return Entitlement.objects.select_for_update(of=("self",)).filter(customer_id=customer_id).first()


def customer(customer_id: int) -> Customer | None:
    """Lock a customer's own row, after its entitlement, where an entitlement is or may be locked later on."""
    entitlement(customer_id)
    return Customer.objects.select_for_update().filter(pk=customer_id).first()
