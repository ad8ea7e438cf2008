"""A stand-in for a Mattermost site, and samples of pushes as a web process takes them."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from billing import customers
from delivery.sandbox import certificates
from hpns.local.mattermost_site import Installation, Site
from tenants import network, services
from tests.tenants.conftest import Acme
from tests.tenants.proofs.sending import Sender


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("site")
    certificates.ensure(folder)
    with Site(0, folder / "server.pem", folder / "server.key") as made:
        made.ca_file = str(folder / certificates.CA_FILE)  # type: ignore[attr-defined]
        thread = threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join(5)


@pytest.fixture
def site(serving: Site, settings: Settings) -> Site:
    """The site as new; the settings let it be asked, and trust its certificate."""
    settings.SITE_PRIVATE_NETWORKS = network.networks(["127.0.0.1"])
    settings.SITE_CA_FILE = serving.ca_file  # type: ignore[attr-defined]
    serving.behaviour, serving.installation = "answers", Installation()
    serving.url = f"https://localhost:{serving.server_address[1]}"
    serving.asked.clear()
    return serving


@pytest.fixture
def home() -> Installation:
    return Installation()


@pytest.fixture
def sender(acme: Acme, home: Installation) -> Sender:
    return Sender(acme.key, home)


@pytest.fixture
def mallory(acme: Acme) -> services.NewKey:
    """A key of another customer."""
    customer = customers.add(name="Mallory", offer="hpns").row
    return services.key_add(server=services.server_add(customer=customer, name="m").row)
