"""The part of a server's page that says who it is: what its admin sees, fetches and pastes."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from hpns.local.mattermost_site import Installation, Site
from tenants.models import AuditEvent, Finding
from tenants.models import Site as SiteRow
from tests.tenants.conftest import Cast
from tests.tenants.proofs.conftest import serving, site
from tests.tenants.proofs.sending import Sender

__all__ = ["serving", "site"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


def page(cast: Cast, *more: str) -> str:
    return "/".join((f"/c/acme/servers/{cast.acme.server.public_id}", *more, ""))


def text(who: Client, address: str) -> str:
    return " ".join(who.get(address).content.decode().split())


def proven(cast: Cast, installation: Installation) -> None:
    sender = Sender(cast.acme.key, installation)
    minutes = int((timezone.now() - sender.start).total_seconds() // 60)
    for minute in (minutes - 1, minutes):
        sender.push(minute)


def test_the_page_goes_with_the_server_from_not_known_to_proven(cast: Cast, site: Site) -> None:
    assert "Nothing shows yet which Mattermost installation this is" in text(cast.ada, page(cast))
    answer = cast.ada.post(page(cast, "site"), {"address": site.url}, follow=True)
    shown = " ".join(answer.content.decode().split())
    assert f"its server ID is {site.installation.diagnostic_id}" in shown
    assert "professional, <bdi>Demo Company</bdi>, 250 seats" in shown
    assert "A signed push with one of its keys" in shown
    proven(cast, site.installation)
    shown = text(cast.ada, page(cast))
    assert "Its pushes are signed with the key of localhost" in shown
    assert "Last verified push" in shown
    assert "Its licence, if it has one." in shown
    (event,) = AuditEvent.objects.filter(action="site.fetch")
    assert (event.customer_id, event.actor_kind) == (cast.acme.customer.pk, "member")


def test_a_site_that_cannot_be_read_is_said_at_the_field_and_what_was_typed_stays(cast: Cast, site: Site) -> None:
    site.behaviour = "fails"
    shown = cast.ada.post(page(cast, "site"), {"address": site.url}).content.decode()
    assert "with the status 503" in shown
    assert f'value="{site.url}"' in shown
    assert not SiteRow.objects.exists()


def test_a_private_address_is_not_asked(cast: Cast, site: Site, settings: pytest.FixtureRequest) -> None:
    settings.SITE_PRIVATE_NETWORKS = ()  # type: ignore[attr-defined]
    shown = cast.ada.post(page(cast, "site"), {"address": site.url}).content.decode()
    assert "has no public address" in shown
    assert not site.asked


def test_documents_are_pasted_where_the_site_cannot_be_reached(cast: Cast) -> None:
    home = Installation()
    assert "chat.example.com/api/v4/config/client?format=old" in text(cast.ada, page(cast, "site", "paste"))
    given = {"config": json.dumps(home.config("https://vpn.example")), "licence": json.dumps(home.licence)}
    shown = " ".join(cast.ada.post(page(cast, "site", "paste"), given, follow=True).content.decode().split())
    assert "as pasted, which nobody has verified" in shown
    assert home.diagnostic_id in shown
    proven(cast, home)
    assert "Documents that were pasted" in text(cast.ada, page(cast))


@pytest.mark.parametrize("config", ["x", "{}", "", '{"DiagnosticId":"a"}'])
def test_what_is_pasted_wrongly_is_said_at_the_field_and_stays(cast: Cast, config: str) -> None:
    answer = cast.ada.post(page(cast, "site", "paste"), {"config": config})
    assert answer.status_code == 200
    assert "Nothing was saved" in answer.content.decode()
    assert not SiteRow.objects.exists()


def test_a_site_is_fetched_no_more_once_somebody_says_so(cast: Cast, site: Site) -> None:
    cast.ada.post(page(cast, "site"), {"address": site.url})
    assert "Stop fetching localhost" in text(cast.ada, page(cast))
    assert "fetched no more" in cast.ada.post(page(cast, "site", "forget"), follow=True).content.decode()
    assert SiteRow.objects.get().due_at is None
    assert "Stop fetching" not in text(cast.ada, page(cast))


def test_a_viewer_sees_who_it_is_and_changes_nothing(cast: Cast) -> None:
    shown = text(cast.ben, page(cast))
    assert "Who this server is" in shown
    assert "Fetch the site" not in shown


def test_a_leaked_key_is_said_first_with_what_to_do(cast: Cast) -> None:
    proven(cast, Installation())
    proven(cast, Installation())
    assert Finding.objects.get().kind == "leaked_key"
    shown = text(cast.ada, page(cast))
    assert "Another Mattermost installation pushes with the key" in shown
    assert "and revoke this" in shown
    assert "Another Mattermost installation" in text(cast.ada, "/c/acme/")
    Finding.objects.update(last_at=timezone.now() - timedelta(days=8))
    assert "Another Mattermost installation" not in text(cast.ada, page(cast))


def test_a_strangers_text_is_shown_as_text(cast: Cast, site: Site) -> None:
    site.installation.licence["Company"] = "<script>alert(1)</script>"
    cast.ada.post(page(cast, "site"), {"address": site.url})
    shown = text(cast.ada, page(cast))
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert(1)" in shown
