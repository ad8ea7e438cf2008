"""The demo's licences are each what their names say, and another start changes none of them until they are old."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from billing.licences import file, issuers, judging
from hpns.local import demo_licences
from hpns.local.mattermost_site import Installation

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
