"""The delivery page of a customer with very many servers."""

from typing import Any

import pytest
from django.db import connection

from delivery.models import Grain
from tenants.models import Server
from tests.delivery.pages.test_overview import PAGE, text
from tests.tenants.conftest import Cast

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


def test_ten_thousand_servers_are_a_bounded_page_the_worst_first(cast: Cast) -> None:
    many = [Server(customer=cast.acme.customer, name=f"server {n:05d}") for n in range(10_000)]
    Server.objects.bulk_create(many)
    columns = (
        "at, customer_id, grain, server_id, app_id, family, type, outcome, code, attribution, counts, pushes, acked"
    )
    values: Any = [cast.acme.customer.pk, many[0].pk, many[-1].pk]
    with connection.cursor() as cursor:
        for grain, server, of in (
            (Grain.DETAIL, "n", "'message', CASE n WHEN %s THEN 'refused' ELSE 'sent' END"),
            (Grain.CUSTOMER, "0", "'', CASE n WHEN %s THEN 'refused' ELSE 'sent' END"),
        ):
            cursor.execute(
                f"INSERT INTO delivery_minute ({columns}, handoff, receipt)"  # noqa: S608
                f" SELECT date_trunc('minute', now()), %s, {int(grain)}, {server}, 0, 'apns', {of},"
                " 'no_app', 'customer', true, 1, 0, '{}', '{}' FROM generate_series(%s, %s) n",
                [values[0], many[7_777].pk, *values[1:]],
            )
        cursor.execute("ANALYZE tenants_server, delivery_minute")  # as autovacuum does after a minute
    answer = cast.ben.get(PAGE)
    assert len(answer.content) < 200_000
    said = text(cast.ben)
    assert "And 9,990 more: see all." in said
    split = said.partition("By server")[2]
    assert split.index("server 07777") < split.index("server 0000")
