"""One sender's hostile pushes keep no other from being proven: neither by their content nor by their number."""

import pytest

from hpns.local.mattermost_site import Installation
from tenants import services
from tenants.models import Proof
from tenants.proofs import evidence
from tests.roles import WORKER, acting_as
from tests.tenants.conftest import Acme
from tests.tenants.proofs.sending import Sender, seen

pytestmark = pytest.mark.django_db


def record(*samples: evidence.Sample) -> None:
    with acting_as(WORKER):
        evidence.record(samples, lambda ack_id, customer: False)


def test_what_no_column_takes_is_left_out_and_the_others_are_recorded(
    acme: Acme, home: Installation, sender: Sender, mallory: services.NewKey
) -> None:
    seen(acme.server, home)
    hostile = Sender(mallory.row, Installation(), server_id="m\0").sample()
    long = Sender(mallory.row, Installation(), server_id="m" * 65).sample()
    record(hostile, long, sender.sample())
    (row,) = Proof.objects.all()
    assert (row.key, row.last) == (acme.key, "verified")


@pytest.mark.parametrize("state", ["signed", "bad"])
def test_a_key_with_many_server_ids_keeps_no_other_waiting(
    acme: Acme, home: Installation, sender: Sender, mallory: services.NewKey, state: str
) -> None:
    seen(acme.server, home)
    flood = [
        Sender(mallory.row, home, server_id=f"made{number}").sample(state=state)
        for number in range(evidence.SLOW_MAX + 1)
    ]
    record(*flood, sender.sample())
    assert Proof.objects.get(key=acme.key).last == "verified"


def test_what_cannot_be_read_time_and_again_costs_a_share_of_one_statement(
    acme: Acme, sender: Sender, django_assert_max_num_queries: object
) -> None:
    record(sender.sample(state="bad"))
    with django_assert_max_num_queries(4):  # type: ignore[operator]
        evidence.record([sender.sample(minute, state="bad") for minute in range(1, 30)], lambda *_: False)
    assert Proof.objects.get().last == "bad"
