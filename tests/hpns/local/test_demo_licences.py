"""The demo's licences are each what their names say, and another start changes none of them until they are old."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import transaction
from pytest_django import Settings

from billing import wiring
from billing.licences import file, issuers, judging, proving
from hpns.local import demo, demo_licences
from hpns.local.demo_names import OWN_SERVER, SELLER
from hpns.local.mattermost_site import Installation
from tenants.models import Server, Site
from tests.billing.subscriptions.agreed import seed

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def judged(state: Path, now: datetime = NOW) -> dict[str, str]:
    """What the product makes of each file, by its name without the ending."""
    found = issuers.load(str(demo_licences.issuers(state)))
    assert found.problems == []
    paths = demo_licences.folder(state).glob("*.mattermost-license")
    return {path.stem: judging.judge(file.read(path.read_bytes(), found.issuers), now).code for path in paths}


def test_each_is_what_its_name_says(tmp_path: Path) -> None:
    demo_licences.write(tmp_path, NOW)
    expected = {"e1": "good", "expired": "expired", "trial": "trial", "entry": "entry", "another-account": "good"}
    assert judged(tmp_path) == expected


def test_those_of_the_demo_agree_with_the_site_of_its_server(tmp_path: Path) -> None:
    demo_licences.write(tmp_path, NOW)
    keys = issuers.load(str(demo_licences.issuers(tmp_path))).issuers
    said = Installation().licence
    for name in ("e1", "another-account"):
        found = file.read((demo_licences.folder(tmp_path) / f"{name}.mattermost-license").read_bytes(), keys)
        assert (found.sku, found.company, str(found.users)) == (said["SkuShortName"], said["Company"], said["Users"])


@pytest.mark.django_db
def test_each_can_be_tried_on_the_demos_server_without_a_site(tmp_path: Path, settings: Settings) -> None:
    demo_licences.write(tmp_path, NOW)
    settings.SELLER = SELLER
    settings.LICENCE_KEYS = str(demo_licences.issuers(tmp_path))
    wiring.wire()  # other tests leave sources of their own
    seed()  # the plans, which other tests have emptied with all tables
    demo.seed(tmp_path, [])
    server = Server.objects.get(name=OWN_SERVER)
    assert not Site.objects.filter(server=server).exists()
    seen = {}
    for path in demo_licences.folder(tmp_path).glob("*.mattermost-license"):
        try:
            with transaction.atomic():
                done = proving.upload(customer=server.customer, data=path.read_bytes(), now=NOW, server=server)
                seen[path.stem] = str(done.judgement.code)
                raise _TriedError
        except proving.RefusedError as refused:
            seen[path.stem] = str(refused.code)
        except _TriedError:
            pass
    assert seen == {
        "e1": "good",
        "entry": "entry",
        "expired": "expired",
        "trial": "trial",
        "another-account": "in_use",
    }


class _TriedError(Exception):
    """It was taken, and is given up again for the next one."""


def test_the_private_key_is_for_nobody_else_and_not_where_keys_are_read(tmp_path: Path) -> None:
    demo_licences.write(tmp_path, NOW)
    (key,) = demo_licences.folder(tmp_path).glob("*.pem")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [path.name for path in demo_licences.issuers(tmp_path).iterdir()] == ["demo.pem"]


@pytest.mark.parametrize(("days", "stays"), [(200, True), (320, False)])
def test_another_start_leaves_them_as_they_are_until_they_are_old(tmp_path: Path, days: int, stays: bool) -> None:
    demo_licences.write(tmp_path, NOW)
    path = demo_licences.folder(tmp_path) / "e1.mattermost-license"
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    before, later = path.read_bytes(), NOW + timedelta(days=days)
    demo_licences.write(tmp_path, later)
    assert (path.read_bytes() == before) is stays
    assert judged(tmp_path, later)["e1"] == "good"
