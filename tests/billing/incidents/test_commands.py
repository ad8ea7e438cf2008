"""The commands of incidents and maintenance: what staff do in the admin, as JSON."""

import pytest
from django.core.management import CommandError

from billing.models import Incident, MaintenanceWindow, Notice, Subscriber
from tests.tenants.management.test_commands import run

pytestmark = pytest.mark.django_db
INCIDENT = ("--title", "Slow", "--concerns", "apns, pages", "--impact", "slow", "--text", "We look into it.")
WINDOW = ("--title", "Move", "--concerns", "pages", "--from", "2999-01-01T22:00", "--until", "2999-01-01T23:00")


@pytest.fixture(autouse=True)
def reader(db: None) -> Subscriber:
    return Subscriber.objects.create(email="a@example.com", confirmed_at="2026-01-01T00:00Z")


def test_an_incident_is_published_with_its_updates_until_it_is_over() -> None:
    made = run("incident", "publish", *INCIDENT)
    assert (made["concerns"], made["published"], made["resolved_at"]) == (["apns", "pages"], True, None)
    assert [row["number"] for row in run("incident", "list", "--open")] == [made["number"]]
    over = run("incident", "update", "--number", str(made["number"]), "--text", "It is over.", "--resolved")
    assert over["resolved_at"] is not None
    assert set(over["updates"]) == {"We look into it.", "It is over."}
    assert run("incident", "list", "--open") == []
    assert Notice.objects.filter(kind="incident").count() == 2


def test_maintenance_is_shown_first_and_announced_with_yes() -> None:
    shown = run("maintenance", "announce", *WINDOW, "--text", "Half an hour.")
    assert (shown["announced"], shown["addresses"], shown["left_out_of_the_sla"]) == (False, 1, True)
    assert not MaintenanceWindow.objects.exists()
    assert not Notice.objects.exists()
    made = run("maintenance", "announce", *WINDOW, "--text", "Half an hour.", "--yes")
    assert run("maintenance", "cancel", "--number", str(made["number"]))["cancelled"]
    assert [row["cancelled"] for row in run("maintenance", "list")] == [True]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("incident", "publish", *INCIDENT, "--concerns", "moon"), "there is no 'moon'"),
        (("incident", "publish", *INCIDENT, "--text", " "), "write what is to be said"),
        (("incident", "update", "--number", "7", "--text", "x"), "there is no incident 7"),
        (("maintenance", "announce", *WINDOW, "--text", "x", "--until", "2998-01-01"), "it ends after it begins"),
        (("maintenance", "announce", *WINDOW, "--text", "x", "--from", "soon"), "is no time"),
        (("maintenance", "cancel", "--number", "7"), "there is no maintenance 7"),
    ],
)
def test_what_will_not_do_is_said_and_leaves_nothing(command: tuple[str, ...], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        run(*command)
    assert not Incident.objects.exists()
    assert not MaintenanceWindow.objects.exists()
