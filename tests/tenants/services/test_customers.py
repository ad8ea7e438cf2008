"""What a customer may change about itself: checked, audited with before and after, told, and made once."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from tenants import services
from tenants.changes import Changed
from tenants.directory import version_stamp
from tenants.models import AuditEvent, Customer
from tenants.problem import ProblemError
from tests.tenants.conftest import Acme


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("change", "arguments", "field", "value", "audited"),
    [
        (services.customer_rename, {"name": " Acme Inc. "}, "name", "Acme Inc.", "Acme Inc."),
        (services.customer_content, {"content": "id_only"}, "content", "id_only", "id_only"),
        (services.customer_contacts, {"contacts": ["a@b.example"]}, "contacts", ["a@b.example"], "a@b.example"),
    ],
)
def test_a_change_is_made_audited_and_told_once(
    acme: Acme,
    valkey: redis.Redis,
    change: Callable[..., Changed[Customer]],
    arguments: dict[str, Any],
    field: str,
    value: object,
    audited: str,
) -> None:
    before = version_stamp.current(valkey)
    row, changed = change(customer=acme.customer, **arguments)
    assert (getattr(row, field), changed) == (value, True)
    assert (after := version_stamp.current(valkey)) > before
    assert not change(customer=acme.customer, **arguments).changed
    assert version_stamp.current(valkey) == after
    event = AuditEvent.objects.get(action=f"customer.{field.replace('name', 'rename')}")
    assert (event.customer_id, event.details["after"]) == (acme.customer.pk, audited)
    assert getattr(Customer.objects.get(), field) == value


def test_another_name_leaves_the_slug(acme: Acme) -> None:
    assert services.customer_rename(customer=acme.customer, name="Other").row.slug == "acme"


@pytest.mark.parametrize(
    ("change", "arguments", "problem"),
    [
        (services.customer_rename, {"name": ""}, "needs a name"),
        (services.customer_rename, {"name": "a\nb"}, "printable"),
        (services.customer_content, {"content": "everything"}, "must be one of as_sent, generic, id_only"),
        (services.customer_content, {"content": ""}, "must be one of"),
        (services.customer_contacts, {"contacts": ["nobody"]}, "'nobody' is no e-mail address"),
        (services.customer_contacts, {"contacts": ["a@b.example\nBcc: c@d.example"]}, "is no e-mail address"),
        (services.customer_contacts, {"contacts": ["x" * 100_000 + "@b.example"]}, "is no e-mail address"),
        (services.customer_contacts, {"contacts": [f"{n}@b.example" for n in range(21)]}, "20 contacts at most"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    acme: Acme, change: Callable[..., Changed[Customer]], arguments: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ProblemError, match=problem) as raised:
        change(customer=acme.customer, **arguments)
    assert len(str(raised.value)) < 250
    assert not AuditEvent.objects.filter(action__startswith="customer.").exclude(action="customer.add").exists()


def test_contacts_are_kept_once_in_their_order_and_may_be_none(acme: Acme) -> None:
    given = ["b@b.example", " a@b.example ", "b@b.example", ""]
    assert services.customer_contacts(customer=acme.customer, contacts=given).row.contacts == [
        "b@b.example",
        "a@b.example",
    ]
    assert services.customer_contacts(customer=acme.customer, contacts=[]).row.contacts == []
