"""What operators type about servers: JSON, or one line that says what to do."""

from datetime import UTC, datetime

import pytest
from django.core.management import CommandError

from billing import customers
from tenants import services
from tenants.models import AuditEvent, Sighting
from tests.tenants.conftest import Acme
from tests.tenants.management.test_commands import run

MAIN = ("--customer", "acme", "--server", "main")


def test_a_server_is_renamed_and_told_apart_from_what_was_so(acme: Acme) -> None:
    assert run("server", "rename", *MAIN, "--name", "chat")["changed"]
    again = run("server", "rename", "--customer", "acme", "--server", str(acme.server.public_id), "--name", "chat")
    assert (again["name"], again["changed"]) == ("chat", False)


def test_networks_are_set_and_taken_away(acme: Acme) -> None:
    row = run("server", "networks", *MAIN, "--to", "192.0.2.0/24, 2001:db8::1")
    assert (row["networks"], row["changed"]) == (["192.0.2.0/24", "2001:db8::1/128"], True)
    assert run("server", "networks", *MAIN, "--to", "")["networks"] == []


def test_server_ids_come_and_go(acme: Acme) -> None:
    added = run("server", "id-add", *MAIN, "--server-id", "registered")
    assert (added["server_ids"], added["changed"]) == (["registered"], True)
    assert not run("server", "id-add", *MAIN, "--server-id", "registered")["changed"]
    assert run("server", "list", "--customer", "acme")[0]["server_ids"] == ["registered"]
    assert run("server", "id-remove", *MAIN, "--server-id", "registered")["server_ids"] == []


def test_a_server_id_that_is_registered_here_is_confirmed_and_one_of_a_page_is_confirmed_by_its_own_command(
    acme: Acme,
) -> None:
    assert run("server", "id-add", *MAIN, "--server-id", "registered")["server_ids_waiting"] == []
    services.server_id_add(server=acme.server, mattermost_id="typed")
    assert run("server", "list")[0]["server_ids_waiting"] == ["typed"]
    confirmed = run("server", "id-confirm", *MAIN, "--server-id", "typed")
    assert (confirmed["server_ids"], confirmed["server_ids_waiting"]) == (["registered", "typed"], [])
    assert confirmed["changed"]
    assert not run("server", "id-confirm", *MAIN, "--server-id", "typed")["changed"]


def test_server_ids_are_listed_with_the_keys_that_came_with_them(acme: Acme) -> None:
    run("server", "id-add", *MAIN, "--server-id", "registered")
    services.server_id_add(server=acme.server, mattermost_id="typed")
    other = services.server_add(customer=customers.add(name="Cosmos", offer="hpns").row, name="chat").row
    elsewhere = services.key_add(server=other).row
    moments = (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC))
    for key, at in zip((acme.key, elsewhere), moments, strict=True):
        Sighting.objects.create(key=key, mattermost_id="typed", first_at=at, last_at=at)
    assert [row["server_id"] for row in run("server", "id-list", "--customer", "acme")] == ["registered", "typed"]
    assert run("server", "id-list", "--customer", "cosmos") == []
    (row,) = run("server", "id-list", "--waiting")
    assert (row["server_id"], row["customer"], row["server"], row["confirmed_at"]) == ("typed", "acme", "main", None)
    assert row["seen_with_its_keys_at"] == "2026-01-02T00:00:00+00:00"
    assert row["seen_with_other_keys_at"] == "2026-01-03T00:00:00+00:00"


def test_the_audit_log_names_the_command_and_who_ran_it(acme: Acme) -> None:
    run("server", "id-add", *MAIN, "--server-id", "registered")
    event = AuditEvent.objects.get(action="server_id.add")
    assert event.actor_kind == "command"
    assert event.actor.startswith("manage.py server id-add (")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("server networks --customer acme --server main --to office", "'office' is no network"),
        ("server networks --customer acme --server main --to 0.0.0.0/0", "is everywhere"),
        ("server networks --customer acme --server other --to 192.0.2.0/24", "no server 'other'"),
        ("server id-add --customer acme --server main --server-id a/b", "26 letters and digits"),
        ("server id-remove --customer acme --server main --server-id nothing", "has no server_id 'nothing'"),
        ("server id-confirm --customer acme --server main --server-id nothing", "has no server_id 'nothing'"),
        ("server rename --customer nobody --server main --name x", "no customer 'nobody'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(acme: Acme, words: str, message: str) -> None:
    with pytest.raises(CommandError, match=message) as raised:
        run(*words.split())
    assert "\n" not in str(raised.value)
