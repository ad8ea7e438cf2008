"""The import contracts of pyproject.toml: the tree keeps them, and each notices what it forbids."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
APPS: Final = ("hpns", "billing", "delivery", "tenants")
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NAMES: Final = {contract["name"] for contract in PROJECT["tool"]["importlinter"]["contracts"]}

# For each contract, by its name: a file, and an import that must not stand in it.
VIOLATIONS: Final = {
    "The apps import in one direction": ("tenants/keys.py", "from hpns import version"),
    "A push travels down and never back up": ("delivery/protocol/wire.py", "from delivery.ingest import outbox"),
    "Providers and HTTP/2 know neither Django nor the database": ("delivery/http2/frames.py", "import django"),
    "Pure modules know no framework": ("delivery/outcomes/own.py", "import asyncio"),
    "Only tasks, the envelope and the Celery package know Celery": ("delivery/worker/routes.py", "import celery"),
    "Only the HTTP edge knows DRF": ("delivery/ingest/intake.py", "import rest_framework"),
    "Billing reads delivery through its selectors alone": ("billing/offers.py", "from delivery import models"),
    "The sandbox stands alone": ("delivery/sandbox/fcm.py", "from delivery.providers import base"),
    "Of tenants, pages stand at the top and what is pure at the bottom": (
        "tenants/models/people.py",
        "from tenants.services import members",
    ),
    "Nothing that serves imports the developers' supervisor": (
        "hpns/web/draining.py",
        "from hpns.local import process",
    ),
    "In hpns, each program stands above what it is wired of": ("hpns/version.py", "from hpns import settings"),
}


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of a copy of the project."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, timeout=120)


def copied(tree: Path) -> Path:
    """A copy of the apps and their contracts."""
    for app in APPS:
        subprocess.run(["cp", "-r", str(ROOT / app), str(tree / app)], check=True)
    (tree / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    return tree


def test_each_contract_is_kept_and_notices_a_planted_violation(tmp_path: Path) -> None:
    assert set(VIOLATIONS) == NAMES
    tree = copied(tmp_path)
    kept = lint(tree)
    assert kept.returncode == 0, kept.stdout
    for name, line in VIOLATIONS.values():
        with (tree / name).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    broken = lint(tree)
    assert broken.returncode == 1
    assert set(re.findall(r"^(.*?) BROKEN\b", broken.stdout, re.MULTILINE)) == set(VIOLATIONS), broken.stdout


def test_a_new_file_has_to_be_put_into_a_layer(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    (tree / "delivery" / "drawer.py").write_text('"""Odds and ends."""\n', encoding="utf-8")
    result = lint(tree)
    assert result.returncode == 1
    assert "drawer" in result.stdout
