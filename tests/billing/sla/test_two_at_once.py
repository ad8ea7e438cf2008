"""Two workers whose rounds of the SLA meet: each day is sealed once, and credited once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from billing.models import SlaCredit, SlaDay, SlaRoot
from billing.sla import reading, running
from billing.sla.judging import MINUTE
from tenants.models import Customer
from tests.billing.sla.facts import BEGIN, PRICED, pushes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]


def one(_: int) -> int:
    try:
        return len(running.round_(BEGIN + timedelta(days=6), PRICED).sealed)
    finally:
        connection.close()


def test_each_day_is_sealed_and_credited_once(acme: Customer) -> None:
    for number in range(4):
        pushes(acme, BEGIN + number * MINUTE, ours=30)
    with ThreadPoolExecutor(2) as workers:
        list(workers.map(one, range(2)))
    assert SlaRoot.objects.count() == SlaDay.objects.count() == 5
    assert SlaCredit.objects.count() == 1
    assert reading.check_chain(acme) == (5, [])
