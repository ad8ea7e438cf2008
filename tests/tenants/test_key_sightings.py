"""Which key was used when, and with which server_ids: noted to the minute, bounded, whatever its bearer makes up."""

from datetime import UTC, datetime

import pytest

from tenants import key_sightings, services
from tenants.models import ServerKey, Sighting
from tests.tenants.conftest import Acme

NOW = 1_700_000_040  # begins a minute


def seen(key: ServerKey) -> dict[str, tuple[int, int]]:
    """The server_ids of a key with the seconds from NOW at which each was first and last seen."""
    return {
        row.mattermost_id: (int(row.first_at.timestamp()) - NOW, int(row.last_at.timestamp()) - NOW)
        for row in Sighting.objects.filter(key=key)
    }


def last_used(key: ServerKey) -> datetime | None:
    key.refresh_from_db()
    return key.last_used_at


def test_a_key_that_is_used_is_noted_to_the_minute(acme: Acme) -> None:
    key_sightings.record([(acme.key.pk, "a", NOW + 59)])
    assert last_used(acme.key) == datetime.fromtimestamp(NOW, UTC)
    assert seen(acme.key) == {"a": (0, 0)}


def test_a_second_server_id_of_a_key_is_kept_beside_the_first(acme: Acme) -> None:
    key_sightings.record([(acme.key.pk, "a", NOW), (acme.key.pk, "b", NOW + 60)])
    assert seen(acme.key) == {"a": (0, 0), "b": (60, 60)}


def test_what_is_told_twice_in_one_batch_is_one_row(acme: Acme) -> None:
    key_sightings.record([(acme.key.pk, "a", NOW + 120), (acme.key.pk, "a", NOW), (acme.key.pk, "a", NOW)])
    assert seen(acme.key) == {"a": (0, 120)}


def test_news_that_comes_late_moves_nothing_back(acme: Acme) -> None:
    key_sightings.record([(acme.key.pk, "a", NOW + 120)])
    key_sightings.record([(acme.key.pk, "a", NOW)])
    assert seen(acme.key) == {"a": (120, 120)}
    assert last_used(acme.key) == datetime.fromtimestamp(NOW + 120, UTC)


def test_a_key_that_is_gone_is_left_out_and_the_others_are_noted(acme: Acme) -> None:
    gone = services.key_add(server=acme.server).row
    number = gone.pk
    gone.delete()
    key_sightings.record([(number, "a", NOW), (acme.key.pk, "a", NOW)])
    assert Sighting.objects.count() == 1
    assert seen(acme.key) == {"a": (0, 0)}


def test_each_key_is_noted_for_itself(acme: Acme) -> None:
    other = services.key_add(server=acme.server).row
    key_sightings.record([(acme.key.pk, "a", NOW), (other.pk, "b", NOW + 60)])
    assert (seen(acme.key), seen(other)) == ({"a": (0, 0)}, {"b": (60, 60)})
    assert last_used(other) == datetime.fromtimestamp(NOW + 60, UTC)


@pytest.mark.parametrize("chunk", [1, 7, 500])
def test_made_up_server_ids_end_at_a_bound_also_within_one_batch(acme: Acme, chunk: int) -> None:
    made_up = [(acme.key.pk, f"made-up-{number:03}", NOW + number) for number in range(100)]
    for start in range(0, len(made_up), chunk):
        key_sightings.record(made_up[start : start + chunk])
    assert len(seen(acme.key)) == key_sightings.SERVER_IDS_PER_KEY_MAX
    assert "made-up-000" in seen(acme.key)


def test_a_known_server_id_is_still_noted_past_the_bound(acme: Acme) -> None:
    key_sightings.record([(acme.key.pk, f"{number:03}", NOW) for number in range(100)])
    key_sightings.record([(acme.key.pk, "000", NOW + 60), *((acme.key.pk, f"x{n}", NOW + 60) for n in range(100))])
    assert seen(acme.key)["000"] == (0, 60)
    assert len(seen(acme.key)) == key_sightings.SERVER_IDS_PER_KEY_MAX


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("x" * 1000, "x" * key_sightings.SERVER_ID_MAX_LENGTH),
        ("a\0b", "ab"),
        ("'; DROP TABLE tenants_sighting; --", "'; DROP TABLE tenants_sighting; --"),
        ("{a,b}", "{a,b}"),
        ("%s", "%s"),
        ("\\", "\\"),
        ("ünï", "ünï"),
    ],
)
def test_any_text_is_kept_as_text(acme: Acme, name: str, kept: str) -> None:
    key_sightings.record([(acme.key.pk, name, NOW)])
    assert list(seen(acme.key)) == [kept]


def test_names_that_become_the_same_are_one_row(acme: Acme) -> None:
    key_sightings.record([(acme.key.pk, "x" * 65, NOW), (acme.key.pk, "x" * 66, NOW + 60)])
    assert seen(acme.key) == {"x" * 64: (0, 60)}


def test_nothing_is_no_trouble(acme: Acme) -> None:
    key_sightings.record([])
    assert not Sighting.objects.exists()
