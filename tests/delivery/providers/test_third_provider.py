"""A third provider, the pigeon post, is added to a copy of the tree: a file for each half of it, a row in each table.

Nothing else of the product is touched, the migration is what makemigrations makes of it, and pushes go through it end
to end: app, credential, trial, delivery, REMOVE, fault of the key, log and metrics.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.providers.pigeon.server import SECRET, PigeonServer
from tests.stage import ROOT, Stage, free_port, running_stage
from tests.waiting import PATIENCE, wait_for

HALVES = Path(__file__).parent / "pigeon"
TREE = ("billing", "delivery", "hpns", "tenants", "templates", "manage.py", "CHANGELOG.md")
APP = ("--customer", "acme", "--label", "pigeon_rn")


def add_row(table: Path, module: str) -> None:
    """Add the pigeon post to a table of providers: an import and a name."""
    text, count = re.subn(r"\(APNS, FCM\)", "(APNS, FCM, PIGEON)", table.read_text(encoding="utf-8"))
    assert count == 1
    table.write_text(text.replace("\nfrom ", f"\nfrom {module} import PIGEON\nfrom ", 1), encoding="utf-8")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product with the pigeon post in it."""
    made = tmp_path_factory.mktemp("tree")
    made.parent.chmod(0o755)
    for name in TREE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, made / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, made / name)
    shutil.copy(HALVES / "tenants_half.py", made / "tenants" / "providers" / "pigeon.py")
    folder = made / "delivery" / "providers" / "pigeon"
    folder.mkdir()
    (folder / "__init__.py").touch()
    shutil.copy(HALVES / "worker_half.py", folder / "provider.py")
    add_row(made / "tenants" / "providers" / "table.py", "tenants.providers.pigeon")
    add_row(made / "delivery" / "providers" / "table.py", "delivery.providers.pigeon.provider")
    command = [sys.executable, "-W", "ignore", "manage.py", "makemigrations", "tenants", "-n", "pigeon_post"]
    nowhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1"}
    environment = {**os.environ, **nowhere, "PYTHONPATH": str(made), "DJANGO_SETTINGS_MODULE": "hpns.settings_test"}
    done = subprocess.run(command, cwd=made, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "pigeon_post" in done.stdout
    return made


@pytest.fixture(scope="module")
def stage(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The whole service of that copy."""
    origin = f"https://localhost:{free_port()}"
    folder = tmp_path_factory.mktemp("stage")
    (folder / "metrics").mkdir()
    settings = {"PIGEON_ORIGIN": origin, "METRICS_DIR": str(folder / "metrics")}
    with running_stage(folder, root=tree, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def pigeons(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PigeonServer]:
    """The pigeon post, with an app of Acme's whose key it knows."""
    port = int(stage.env["PIGEON_ORIGIN"].rpartition(":")[2])
    server = PigeonServer(Path(stage.sandbox.ca_file).parent, port)
    key = tmp_path_factory.mktemp("keys") / "acme.pigeon"
    key.write_text(f"pigeon-key:acme:{SECRET}\n")
    stage.manage("app", "add", *APP, "--topic", "com.example.pigeon")
    added = json.loads(stage.manage("credential", "add", *APP, "--file", str(key), "--check"))
    assert added["check"]["good"], added
    stage.run("-c", "import django; django.setup(); from tests.settled import settle_credentials; settle_credentials()")
    assert added["check"]["meaning"] == "the pigeons know the way to com.example.pigeon"
    yield server
    server.stop()


def test_a_push_reaches_the_third_provider_and_its_server_is_told_ok(stage: Stage, pigeons: PigeonServer) -> None:
    # The web process and the worker hear of the new app within two seconds.
    def is_ok() -> bool:
        return stage.push(platform="pigeon_rn-v2", device_id="a-loft", ack_id="flown") == {"status": "OK"}

    wait_for(is_ok, PATIENCE, "the push is OK")
    assert (SECRET, {"loft": "a-loft", "note": "ada: lunch at twelve?"}) in pigeons.flights
    rows = wait_for(lambda: stage.rows("ack_id = 'flown' AND answer = 'OK'"), PATIENCE, "a row of the log")
    assert (rows[0]["platform"], rows[0]["outcome"], rows[0]["code"]) == ("pigeon_rn-v2", "sent", "sent")


def test_its_word_for_a_dead_device_is_remove(stage: Stage, pigeons: PigeonServer) -> None:
    assert stage.push(platform="pigeon_rn-v2", device_id="nobodys-any-more") == {"status": "REMOVE"}


def test_what_it_says_of_a_wrong_key_is_told_in_its_words_and_kept_of_the_credential(
    stage: Stage, pigeons: PigeonServer, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.pigeon"
    wrong.write_text("pigeon-key:wrong:another-secret\n")
    stage.manage("app", "add", "--customer", "acme", "--label", "pigeon_beta", "--topic", "com.example.beta")
    stage.manage("credential", "add", "--customer", "acme", "--label", "pigeon_beta", "--pigeon", str(wrong))

    def error() -> str:
        # Until the processes have heard of the app and its credential, the error is about these.
        text = stage.push(platform="pigeon_beta-v2", device_id="a-loft").get("error", "")
        return "" if text.startswith(("no_app", "no_credential")) else text

    assert wait_for(error, PATIENCE, "an answer").startswith(
        "pigeon_wrong_key the pigeons do not know this key: upload another"
    )

    def kept() -> list[str]:
        found = json.loads(stage.manage("credential", "list", "--customer", "acme"))
        return [row["refused_code"] for row in found if row["label"] == "pigeon_beta" and row["refused_code"]]

    assert wait_for(kept, PATIENCE, "the fault is kept") == ["pigeon_wrong_key"]


def test_its_pushes_are_counted_under_its_platform(stage: Stage, pigeons: PigeonServer) -> None:
    def counted() -> bool:
        text = stage.get("/metrics")[1].decode()
        return 'service_removal_total{platform="pigeon",reason="pigeon_gone"}' in text

    stage.push(platform="pigeon_rn-v2", device_id="nobodys-either")
    wait_for(counted, PATIENCE, "the count")


def test_a_file_of_nobody_is_told_what_the_third_provider_takes_too(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("nothing")
    with pytest.raises(AssertionError, match=r"or Google's \.json, or a \.pigeon file"):
        stage.manage("credential", "add", *APP, "--file", str(tmp_path / "x"))
