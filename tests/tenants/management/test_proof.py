"""What operators type about who servers are: JSON, or one line that says what to do."""

import json
from pathlib import Path

import pytest
from django.core.management import CommandError

from hpns.local.mattermost_site import Installation, Site
from tenants.models import AuditEvent
from tests.tenants.conftest import Acme
from tests.tenants.management.test_commands import run
from tests.tenants.proofs.conftest import serving, site
from tests.tenants.proofs.sending import Sender

__all__ = ["serving", "site"]
MAIN = ("--customer", "acme", "--server", "main")


def test_a_server_is_proven_by_commands_and_its_pushes(acme: Acme, site: Site) -> None:
    assert run("proof", "list", "--customer", "acme")[0]["level"] == "unknown"
    fetched = run("proof", "fetch", *MAIN, "--address", site.url)
    assert (fetched["company"], fetched["changed"]) == ("Demo Company", True)
    assert not run("proof", "fetch", *MAIN)["changed"]
    Sender(acme.key, site.installation).push()
    shown = run("proof", "show", *MAIN)
    assert (shown["level"], shown["server_id"]) == ("proven", site.installation.diagnostic_id)
    assert shown["proofs"][0]["how"] == "fetched"
    assert run("proof", "forget", *MAIN)["changed"]
    assert AuditEvent.objects.filter(action="site.fetch", actor_kind="command").count() == 1


def test_documents_come_from_files_and_findings_are_listed(acme: Acme, tmp_path: Path) -> None:
    home, config = Installation(), tmp_path / "config.json"
    config.write_text(json.dumps(home.config("https://vpn.example")))
    assert run("proof", "paste", *MAIN, "--config", str(config))["how"] == "pasted"
    Sender(acme.key, home).push()
    Sender(acme.key, Installation()).push(1)
    (found,) = run("proof", "findings")
    assert (found["kind"], found["customer"]) == ("leaked_key", "acme")


def test_what_cannot_be_done_is_said_in_one_line(acme: Acme, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="was never fetched"):
        run("proof", "fetch", *MAIN)
    with pytest.raises(CommandError, match="must begin with https"):
        run("proof", "fetch", *MAIN, "--address", "http://chat.example.com")
    with pytest.raises(CommandError, match="cannot be read"):
        run("proof", "paste", *MAIN, "--config", str(tmp_path / "nothing"))
