"""`manage.py sla`: each verb prints JSON, and says what is wrong in a line."""

import json
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from billing.models import SlaFile, SlaKey, SlaSecret
from billing.sla import forgetting, running
from billing.sla.sources import wired
from tenants import vault
from tenants.models import AuditEvent, Customer
from tests.billing.sla.facts import pushes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


def run(*words: str) -> Any:
    out = StringIO()
    call_command("sla", *words, stdout=out)
    return json.loads(out.getvalue())


@pytest.fixture
def acme(customer: Customer) -> Customer:
    """Acme, measured for five days."""
    run("key", "new")
    begin = timezone.now() - timedelta(days=5)
    SlaKey.objects.update(made_at=begin)
    Customer.objects.update(created_at=begin)
    pushes(customer, begin.replace(hour=23, minute=58, second=0, microsecond=0), ours=25)
    return customer


def test_days_are_sealed_shown_verified_and_corrected(acme: Customer) -> None:
    sealed = run("seal")["sealed"]
    assert len(sealed) == 4
    assert run("seal")["sealed"] == []
    day = sealed[0]
    told = run("show", "--customer", "acme", "--month", day[:7])
    assert told["version"] == "sla-1"
    assert [row["failed_ours"] for row in told["not_ok"]] == [25]
    assert "acme" in run("show")
    assert run("verify") == {"acme": {"days": 4, "wrong": [], "differs_from_rollups": []}}
    minute = f"{day}T23:59Z"
    fixed = run("correct", "--customer", "acme", "--minute", minute, "--reason", "late rows", "--canary", "bad")
    assert (fixed["favours_customer"], fixed["verdict"]) == (True, "bad")
    assert AuditEvent.objects.filter(action="sla.correct").exists()


def test_a_month_says_up_to_when_it_is_sealed_and_up_to_when_its_figures_are(acme: Customer) -> None:
    running.round_(timezone.now() - timedelta(days=4), wired())  # opens the ledger, and seals nothing yet
    month = ("--month", f"{timezone.now():%Y-%m}")
    before = run("show", "--customer", "acme", *month)
    assert before["sealed_to"] is None
    sealed = run("seal")["sealed"]
    after = run("show", "--customer", "acme", *month)
    assert after["sealed_to"] == sealed[-1]
    # To the last minute that is known, which is later than the last sealed day.
    assert datetime.fromisoformat(after["figures_to"]) > timezone.now() - timedelta(hours=1)


def test_a_changed_file_is_found(acme: Customer) -> None:
    run("seal")
    with forgetting.erasing():
        SlaFile.objects.filter(content__contains="25").update(content="minute\n")
    with pytest.raises(CommandError, match="not whole"):
        run("verify")


@pytest.mark.parametrize(
    "words",
    [
        ("show", "--customer", "nobody"),
        ("show", "--month", "2026-13"),
        ("correct", "--customer", "acme", "--minute", "yesterday", "--reason", "late rows"),
        ("correct", "--customer", "acme", "--minute", "2020-01-01T00:00Z", "--reason", "late rows"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(acme: Customer, words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*words)


def test_a_key_is_sealed_rotated_and_sealed_anew(settings: Any) -> None:
    run("key", "new")
    first = SlaSecret.objects.get().sealed
    assert len(run("key", "new")["keys"]) == 2
    assert SlaSecret.objects.get().sealed != first
    settings.VAULT_KEYS = ["k9:" + "A" * 43 + "=", *settings.VAULT_KEYS]
    assert run("key", "reseal")["resealed"] == 1
    assert SlaSecret.objects.get().sealed.startswith("v1:k9:")
    assert len(vault.open_(SlaSecret.objects.get().sealed, "sla-ledger")) == 32
    assert len(run("key", "list")["keys"]) == 2
