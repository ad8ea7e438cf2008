"""What a server itself says of its licence is compared with the one that is uploaded for it."""

from datetime import timedelta

import pytest

from billing.licences import proving
from billing.licences.proving import RefusedError
from billing.licences.site import Site
from billing.models import LicenceProof
from tenants.problem import ProblemError
from tests.billing.licences.making import END, NOW, lasting, made
from tests.billing.licences.uploading import upload
from tests.browsing import Tenant
from tests.roles import WORKER, acting_as
from tests.tenants.two_customers import page_of

pytestmark = pytest.mark.django_db

YEAR = timedelta(days=365)
SITE = Site("professional", 250, "Acme GmbH")


def test_a_site_that_says_the_same_is_noted(acme: Tenant) -> None:
    assert upload(acme, made(), site=SITE).seen_at_site
    assert LicenceProof.objects.get().site_agreed_at == NOW
    assert not upload(acme, made(), site=None).changed
    assert LicenceProof.objects.get().site_agreed_at == NOW


@pytest.mark.parametrize("said", ["Professional", "E10 "])
def test_old_and_new_names_of_a_plan_agree(acme: Tenant, said: str) -> None:
    assert upload(acme, made(), site=SITE._replace(sku=said, company=" acme  gmbh")).seen_at_site


@pytest.mark.parametrize(
    ("site", "words"),
    [
        (SITE._replace(sku="enterprise"), "Enterprise, not Professional"),
        (SITE._replace(users=100), "100 users, not 250"),
        (SITE._replace(company="Cosmos"), "Cosmos, not Acme GmbH"),
        (Site("", 0, ""), "no plan, not Professional"),
    ],
)
def test_a_site_that_says_something_else_is_told_and_nothing_is_proven(acme: Tenant, site: Site, words: str) -> None:
    with pytest.raises(RefusedError, match=r"chat\.acme\.example itself says") as refused:
        upload(acme, made(), site=site)
    assert words in str(refused.value)
    assert not LicenceProof.objects.exists()


def test_a_renewal_may_be_uploaded_before_the_server_runs_with_it(acme: Tenant) -> None:
    upload(acme, made(), site=SITE)
    larger = lasting(NOW, YEAR, id="r" * 26, features={"users": 500})
    assert not upload(acme, larger, site=SITE).seen_at_site
    assert LicenceProof.objects.filter(ended_at=None).count() == 2
    assert upload(acme, larger, site=SITE._replace(users=500)).seen_at_site


def test_binding_to_another_server_asks_that_one(acme: Tenant, cosmos: Tenant) -> None:
    proof = proving.upload(customer=acme.customer, data=made(), now=NOW).proof
    assert proof.server is None
    with pytest.raises(RefusedError, match="100 users"):
        proving.bind(proof=proof, server=acme.server, now=NOW, site=SITE._replace(users=100))
    with pytest.raises(ProblemError, match="not one of the customer's"):
        proving.bind(proof=proof, server=cosmos.server, now=NOW)
    with page_of(acme):
        assert proving.bind(proof=proof, server=acme.server, now=NOW, site=SITE).changed
    assert LicenceProof.objects.get().server == acme.server


def test_what_the_site_says_later_is_noted_both_ways(acme: Tenant) -> None:
    upload(acme, made())
    with acting_as(WORKER):
        assert proving.note_site(server=acme.server, site=SITE, now=NOW)
        assert LicenceProof.objects.get().site_agreed_at == NOW
        assert not proving.note_site(server=acme.server, site=SITE._replace(users=9), now=NOW)
        assert LicenceProof.objects.get().site_agreed_at is None
        assert not proving.note_site(server=acme.server, site=SITE, now=END + timedelta(days=30))
