"""Sealing anew may be interrupted at any moment: what is done stays done, and the next run does the rest."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection, connections, transaction
from pytest_django import Settings

from tenants import services
from tenants.models import AuditEvent, Credential
from tenants.problem import ProblemError
from tenants.providers import apple_files
from tenants.services import resealing
from tests.tenants import files
from tests.tenants.conftest import Acme

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def locked(pk: int) -> Iterator[None]:
    """Somebody else holds the row of this credential."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Credential.objects.select_for_update().order_by("pk").get(pk=pk)
            held.set()
            done.wait(20)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    yield
    done.set()
    thread.join()


def sealed_with() -> list[str]:
    """The ids of the keys that the credentials are sealed with, in the order of the rows."""
    return [text.split(":")[1] for text in Credential.objects.order_by("pk").values_list("sealed", flat=True)]


def test_a_run_that_breaks_off_keeps_what_it_has_done_and_the_next_one_finishes(
    acme: Acme, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        app = services.app_add(label=f"apple_{number}", topic="com.example.app").row
        parsed = apple_files.apple_key(files.p8(), key_id=f"ABC123DEF{number}", team_id="TEAM123456")
        services.credential_add(app=app, parsed=parsed)
    third = Credential.objects.order_by("pk")[2].pk
    settings.VAULT_KEYS = ["new:" + "A" * 43 + "=", *settings.VAULT_KEYS]
    monkeypatch.setattr(resealing, "BATCH_SIZE", 1)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    with locked(third), pytest.raises(OperationalError, match="lock timeout"):
        services.reseal()
    assert sealed_with() == ["new", "new", "t1", "t1"]
    assert services.reseal() == {"credentials": 2, "second_factors": 0}
    assert sealed_with() == ["new"] * 4
    assert services.reseal() == {"credentials": 0, "second_factors": 0}
    assert AuditEvent.objects.filter(action="credential.reseal").count() == 4


def test_each_kind_of_secret_has_its_turn_though_another_fails(acme: Acme) -> None:
    def fails() -> int:
        raise ProblemError("one cannot be opened")

    ran = []
    resealers = {"first": fails, "second": lambda: ran.append("second") or 7}
    with pytest.raises(ProblemError, match="first: one cannot be opened"):
        services.reseal(resealers)
    assert ran == ["second"]
