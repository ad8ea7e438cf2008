"""Uploads of licences as the page makes them."""

from billing.licences import proving
from billing.licences.proving import Proven
from billing.licences.site import Site
from tenants.problem import ProblemError
from tests.billing.licences.making import NOW
from tests.browsing import Tenant
from tests.tenants.two_customers import page_of


def upload(one: Tenant, data: bytes, *, site: Site | None = None) -> Proven:
    """As the page of the customer does, whose role the database binds; it ends well also where it is refused."""
    problem: ProblemError | None = None
    with page_of(one):
        try:
            return proving.upload(customer=one.customer, data=data, now=NOW, server=one.server, site=site)
        except ProblemError as error:
            problem = error
    raise problem
