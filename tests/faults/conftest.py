"""What the tests of faults have beside the service of tests/conftest.py: bad apps, and a service that may be bent."""

import json
from collections.abc import Iterator

import pytest

from delivery.sandbox import demo
from tests.faults import cast
from tests.stage import Stage, running_stage


@pytest.fixture(scope="session")
def bent_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A whole service with two workers that send everything, on stores that may be killed, paused and filled."""
    with running_stage(tmp_path_factory.mktemp("bent"), workers=2, DELIVER_FROM="workers") as running:
        yield running


@pytest.fixture(scope="session")
def keys(one_service: Stage) -> dict[str, str]:
    """Adds the apps of cast.py to the shared service; the keys of more servers by name."""
    sandbox = one_service.sandbox
    folder = sandbox.folder
    lapsed = cast.expired_certificate()
    (folder / "lapsed.pem").write_bytes(lapsed)
    (folder / "good.pem").write_bytes(sandbox.add_certificate(cast.CERTIFIED))
    listed = json.loads(sandbox.demo.accounts.read_bytes())
    only_certificate = lapsed.partition(b"-----BEGIN PRIVATE")[0].decode()
    listed["apns_certs"].append({"pem": only_certificate, "topics": ["com.example.lapsed"]})
    sandbox.demo.accounts.write_text(json.dumps(listed))
    for name in ("android_leaving", "android_quiet"):
        account = sandbox.add_service_account(f"{name}@{demo.PROJECT}.iam.gserviceaccount.com")
        (folder / f"{name}.json").write_text(json.dumps(account))
    unlisted = demo.service_account(f"unlisted@{demo.PROJECT}.iam.gserviceaccount.com", sandbox.origin)
    (folder / "android_unlisted.json").write_text(json.dumps(unlisted))
    added: dict[str, str] = json.loads(one_service.run("-c", cast.SEED, str(folder)))
    return added
