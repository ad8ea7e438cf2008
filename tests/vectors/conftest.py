"""One running service for all replays, with the apps that the recordings name."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.stage import Stage, running_stage
from tests.vectors import load
from tests.waiting import PATIENCE, wait_for

ADD = """
import json, os, sys
from pathlib import Path
import django
django.setup()
from tenants import services
from tenants.providers import apple_files, google_files
from tenants.models import Customer
from tests.settled import settle_credentials
acme = Customer.objects.get(name="Acme")
uris = [os.environ["GOOGLE_TOKEN_ORIGIN"] + "/token"]
for label, topic, file in json.loads(sys.argv[1]):
    data = Path(file).read_bytes()
    if label.startswith("apple"):
        parsed = apple_files.apple_certificate_pem(data)
    else:
        parsed = google_files.service_account(data, token_uris=uris)
    app = services.app_add(label=label, topic=topic, customer=acme).row
    services.credential_add(app=app, parsed=parsed)
settle_credentials()
"""


def add_apps(stage: Stage) -> None:
    """Add to Acme the apps that vectors need beyond the usual ones, and wait until pushes find their way to them."""
    wanted = {vector.needs["app_type"]: vector.needs for vector in load.others() if vector.needs}
    apps = []
    for label, needs in sorted(wanted.items()):  # the certificate's app, which is asked for, comes last
        file = stage.folder.path / f"{label}.credential"
        if needs.get("client_certificate"):
            file.write_bytes(stage.sandbox.add_certificate(needs["topic"]))
        else:
            file.write_text(json.dumps(stage.sandbox.add_service_account(needs["client_email"])))
        apps.append((label, needs.get("topic", "com.mattermost.rn"), str(file)))
    stage.run("-c", ADD, json.dumps(apps))
    last = apps[-1][0]
    # The newest app, and one push to each provider: a thousand exchanges at once would wait for one handshake of a
    # busy machine, within a deadline of five seconds.
    ways: list[dict[str, str]] = [
        {"platform": f"{last}-v2"},
        {},
        {"platform": "android_rn-v2", "device_id": "warm:" + "w" * 120},
    ]
    for members in ways:
        wait_for(partial(_goes_through, stage, members), PATIENCE, f"a push goes through: {members}")


def _goes_through(stage: Stage, members: dict[str, str]) -> bool:
    return stage.push(**members)["status"] == "OK"


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A whole service, a day's pushes old."""
    # Some were recorded with X-Forwarded-For: from this machine, but not its own.
    with running_stage(Path(tmp_path_factory.mktemp("vectors")), PLAIN_HTTP_FROM="127.0.0.0/8") as running:
        running.sandbox.settings(lenient_tokens=True)
        add_apps(running)
        running.sandbox.clear()
        yield running
