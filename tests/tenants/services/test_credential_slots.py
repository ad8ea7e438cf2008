"""Two credentials of an app: one signs, one waits; they change places at once, and for the one who meant it."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection, connections
from django.utils import timezone

from tenants import services
from tenants.audit import recording
from tenants.directory import reading
from tenants.models import AuditEvent, Credential
from tenants.problem import ProblemError
from tenants.providers import apple_files
from tenants.providers.base import Parsed
from tests.tenants import files
from tests.tenants.conftest import Acme


def another(key_id: str = "ZZZ123DEFG") -> Parsed:
    """A token key with a secret of its own."""
    return apple_files.apple_key(files.p8(), key_id=key_id, team_id="TEAM123456")


@pytest.fixture
def waiting(acme: Acme) -> Credential:
    """A second credential of Acme's app."""
    return services.credential_add(app=acme.app, parsed=another(), slot="next").row


def slots(acme: Acme) -> dict[str, int]:
    return dict(Credential.objects.filter(app=acme.app).values_list("slot", "pk"))


def acts() -> list[str]:
    """What the audit log holds of credentials, oldest first."""
    return list(
        AuditEvent.objects.filter(action__startswith="credential.").order_by("id").values_list("action", flat=True)
    )


def spare() -> int | None:
    """The spare of the only app, as a process reads it."""
    [app] = reading.read(1).apps
    return app.spare.credential_id if app.spare else None


def test_promoting_lets_both_change_places_under_their_own_ids(acme: Acme, waiting: Credential) -> None:
    row = services.credential_promote(app=acme.app, expected_id=waiting.pk)
    assert (row.pk, row.slot) == (waiting.pk, "current")
    assert slots(acme) == {"current": waiting.pk, "next": acme.credential.pk}
    [app] = reading.read(1).apps
    assert app.credential_id == waiting.pk
    assert spare() == acme.credential.pk
    assert acts()[-1] == "credential.promote"


def test_a_lone_next_credential_can_be_promoted(acme: Acme, waiting: Credential) -> None:
    Credential.objects.filter(pk=acme.credential.pk).delete()
    services.credential_promote(app=acme.app, expected_id=waiting.pk)
    assert slots(acme) == {"current": waiting.pk}


def test_what_somebody_else_has_changed_meanwhile_is_not_promoted(acme: Acme, waiting: Credential) -> None:
    other = services.credential_add(app=acme.app, parsed=another("YYY123DEFG"), slot="next").row
    with pytest.raises(ProblemError, match="has just changed the credentials"):
        services.credential_promote(app=acme.app, expected_id=waiting.pk)
    services.credential_promote(app=acme.app, expected_id=other.pk)
    with pytest.raises(ProblemError, match="has just promoted this credential"):
        services.credential_promote(app=acme.app, expected_id=other.pk)
    assert slots(acme) == {"current": other.pk, "next": acme.credential.pk}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expires_at": timezone.now()}, "has expired"),
        ({"refused_at": timezone.now(), "refused_code": "apns_forbidden"}, r"is refused \(apns_forbidden\)"),
    ],
)
def test_a_credential_that_is_known_to_be_bad_is_not_promoted(
    acme: Acme, waiting: Credential, change: dict[str, object], message: str
) -> None:
    Credential.objects.filter(pk=waiting.pk).update(**change)
    with pytest.raises(ProblemError, match=message):
        services.credential_promote(app=acme.app, expected_id=waiting.pk)
    assert slots(acme)["current"] == acme.credential.pk


def at_once(*works: Callable[[], object]) -> list[object]:
    """Do all of it at the same time, each on a connection of its own; what each returned or raised."""
    barrier, results = threading.Barrier(len(works)), []

    def run(work: Callable[[], object]) -> None:
        barrier.wait(10)
        try:
            results.append(work())
        except ProblemError as error:
            results.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return results


@pytest.mark.django_db(transaction=True)
def test_of_two_who_promote_at_once_the_second_is_told(acme: Acme, waiting: Credential) -> None:
    results = at_once(*[lambda: services.credential_promote(app=acme.app, expected_id=waiting.pk)] * 2)
    assert sorted(type(one).__name__ for one in results) == ["Credential", "ProblemError"]
    assert slots(acme) == {"current": waiting.pk, "next": acme.credential.pk}


@pytest.mark.django_db(transaction=True)
def test_two_who_promote_two_credentials_at_once_do_not_undo_each_other(acme: Acme, waiting: Credential) -> None:
    def replace_and_promote() -> Credential:
        other = services.credential_add(app=acme.app, parsed=another("YYY123DEFG"), slot="next").row
        return services.credential_promote(app=acme.app, expected_id=other.pk)

    at_once(replace_and_promote, lambda: services.credential_promote(app=acme.app, expected_id=waiting.pk))
    there = slots(acme)
    assert set(there) == {"current", "next"}
    assert there["current"] != acme.credential.pk


def test_the_database_still_refuses_two_in_one_slot_when_the_statement_is_done(acme: Acme, waiting: Credential) -> None:
    with pytest.raises(Exception, match="one_per_slot"), connection.cursor() as cursor:
        cursor.execute("UPDATE tenants_credential SET slot = 'current'")


def test_the_next_credential_is_removed_and_the_current_one_only_by_name(acme: Acme, waiting: Credential) -> None:
    with pytest.raises(ProblemError, match="promote that one first"):
        services.credential_remove(app=acme.app, slot="current")
    with pytest.raises(ProblemError, match="look again"):
        services.credential_remove(app=acme.app, expected_id=acme.credential.pk)
    assert services.credential_remove(app=acme.app, expected_id=waiting.pk).key_id == waiting.key_id
    with pytest.raises(ProblemError, match="no next credential"):
        services.credential_remove(app=acme.app)
    services.credential_remove(app=acme.app, slot="current")
    assert slots(acme) == {}
    assert acts()[-2:] == ["credential.remove"] * 2


def test_a_refused_credential_gives_way_to_the_spare_that_was_accepted_once(acme: Acme, waiting: Credential) -> None:
    given = {"app_id": acme.app.pk, "credential_id": acme.credential.pk, "code": "apns_invalid_provider_token"}
    first = services.credential_record_fault(**given, spare_id=waiting.pk)
    assert first is not None
    assert (first.news, first.fell_back) == (True, True)
    assert slots(acme) == {"current": waiting.pk, "next": acme.credential.pk}
    again = services.credential_record_fault(**given, spare_id=waiting.pk)
    assert again is not None
    assert (again.news, again.fell_back) == (False, False)
    assert slots(acme)["current"] == waiting.pk
    assert acts()[-1] == "credential.fall_back"
    assert acts().count("credential.fall_back") == 1
    event = AuditEvent.objects.get(action="credential.fall_back")
    assert (event.actor_kind, event.details["code"]) == ("service", "apns_invalid_provider_token")


def test_a_credential_that_was_refused_is_no_spare_so_that_nothing_swings(acme: Acme, waiting: Credential) -> None:
    assert spare() == waiting.pk
    code = "apns_invalid_provider_token"
    services.credential_record_fault(
        app_id=acme.app.pk, credential_id=acme.credential.pk, code=code, spare_id=waiting.pk
    )
    assert spare() is None
    results = services.credential_record_fault(
        app_id=acme.app.pk, credential_id=waiting.pk, code=code, spare_id=acme.credential.pk
    )
    assert results is not None
    assert (results.news, results.fell_back) == (True, False)
    assert slots(acme)["current"] == waiting.pk


def test_a_refusal_without_a_spare_is_noted_and_ends_when_the_credential_is_good_again(acme: Acme) -> None:
    given = {"app_id": acme.app.pk, "credential_id": acme.credential.pk, "code": "apns_forbidden"}
    results = services.credential_record_fault(**given)
    assert results is not None
    assert (results.news, results.fell_back) == (True, False)
    row = Credential.objects.get(pk=acme.credential.pk)
    assert (row.refused_code, row.refused_at is not None, row.slot) == ("apns_forbidden", True, "current")
    assert acts()[-1] == "credential.refused"
    checked, _ = services.credential_checked(credential=row, code="ok", good=True, is_key_fault=False)
    assert (checked.refused_at, checked.refused_code, checked.check_code) == (None, "", "ok")
    assert acts()[-1] == "credential.check"


def test_a_refusal_of_what_is_not_there_any_more_is_nobodys(acme: Acme) -> None:
    assert services.credential_record_fault(app_id=acme.app.pk, credential_id=999_999, code="x") is None
    assert services.credential_record_fault(app_id=999_999, credential_id=acme.credential.pk, code="x") is None


def test_a_check_that_finds_the_key_refused_makes_it_no_spare(acme: Acme, waiting: Credential) -> None:
    services.credential_checked(credential=waiting, code="apns_invalid_provider_token", good=False, is_key_fault=True)
    assert spare() is None


def test_an_expired_credential_is_no_spare(acme: Acme, waiting: Credential) -> None:
    Credential.objects.filter(pk=waiting.pk).update(expires_at=timezone.now())
    assert spare() is None


def test_asking_again_and_again_fills_no_log_until_there_is_news(acme: Acme) -> None:
    row = acme.credential
    for _ in range(3):
        services.credential_checked(credential=row, code="apns_forbidden", good=False, is_key_fault=True)
    assert acts().count("credential.check") == 1
    with recording.acting(recording.Actor("command", "manage.py credential check")):
        services.credential_checked(credential=row, code="apns_forbidden", good=False, is_key_fault=True)
    assert acts().count("credential.check") == 2
