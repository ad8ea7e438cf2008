"""The authorization of a customer's pages, seen by browsers whose requests are answered as the pages' role."""

from collections.abc import Callable

import pytest
from django.http import HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.test import RequestFactory
from django.urls import path
from pytest_django import Settings

from hpns.urls import urlpatterns as ours
from tenants import fence, permissions
from tenants.audit import recording
from tenants.models import AuditEvent, Membership, Role, Server
from tenants.pages.door import HOUR, CustomerRequest, customer_page
from tests.browsing import Browser
from tests.tenants.conftest import Cast

pytestmark = pytest.mark.django_db
AUDIT = "/c/acme/audit/"


# --- Views of this test, behind the real customer_page


@customer_page("server.see")
def one_server(request: CustomerRequest, pk: int) -> HttpResponse:
    return HttpResponse(Server.objects.get(pk=pk).name) if Server.objects.filter(pk=pk) else HttpResponse(status=404)


@customer_page("server.see", change="server.change")
def servers(request: CustomerRequest) -> TemplateResponse:
    if request.method == "POST":
        Server.objects.create(customer=request.customer, name="new")
        recording.record("server.add", customer=request.customer, target="new")
    # Asked for while the template is rendered, which Django does after the view.
    template = engines["django"].from_string("{% for one in servers %}{{ one.name }},{% endfor %}{{ may }}")
    return TemplateResponse(request, template, {"servers": Server.objects.all(), "may": request.may("server.change")})


@customer_page("owner.change", methods=("POST",))
def fails(request: CustomerRequest) -> HttpResponse:
    Server.objects.create(customer=request.customer, name="half done")
    raise ZeroDivisionError


urlpatterns = [
    path("c/<slug:slug>/things/", servers),
    path("c/<slug:slug>/things/<int:pk>/", one_server),
    path("c/<slug:slug>/fails/", fails),
    *ours,
]
handler404 = "hpns.pages.front.not_found"


@pytest.fixture
def with_views(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__


def test_who_is_not_logged_in_is_led_to_the_login_and_back(cast: Cast) -> None:
    answer = Browser().get(f"{AUDIT}?action=key")
    assert answer.status_code == 302
    assert answer["Location"].endswith("?next=/c/acme/audit/%3Faction%3Dkey")


def test_a_part_that_asks_without_a_login_is_not_given_the_login_in_its_place_but_has_its_page_loaded_anew(
    cast: Cast,
) -> None:
    answer = Browser().get("/c/acme/delivery/", headers={"HX-Request": "true"})
    assert answer.status_code == 403
    assert answer["HX-Refresh"] == "true"
    assert answer.content == b""


def test_a_customer_of_others_and_one_that_there_is_not_look_the_same(cast: Cast) -> None:
    theirs, none = cast.ada.get("/c/cosmos/audit/"), cast.ada.get("/c/nobody/audit/")
    assert theirs.status_code == none.status_code == 404
    assert theirs.content == none.content


@pytest.mark.usefixtures("with_views")
def test_another_customers_id_in_an_address_is_not_found(cast: Cast) -> None:
    assert cast.ada.get(f"/c/acme/things/{cast.acme.server.pk}/").content == b"chat.acme.example"
    assert cast.ada.get(f"/c/acme/things/{cast.cosmos.server.pk}/").status_code == 404
    assert cast.staff.get(f"/c/acme/things/{cast.cosmos.server.pk}/").status_code == 404


@pytest.mark.usefixtures("with_views")
def test_what_a_template_asks_for_is_in_the_customers_scope(cast: Cast) -> None:
    assert cast.ada.get("/c/acme/things/").content == b"chat.acme.example,True"
    assert cast.ben.get("/c/acme/things/").content == b"chat.acme.example,False"
    assert fence.active_scope() is None


@pytest.mark.usefixtures("with_views")
def test_whose_role_is_too_low_is_told_whose_is_not(cast: Cast) -> None:
    answer = cast.ben.post("/c/acme/things/")
    assert answer.status_code == 403
    assert "this is for owners and admins; your role is viewer" in answer.content.decode()
    assert not Server.objects.filter(name="new").exists()
    assert cast.ada.post("/c/acme/things/").status_code == 200


@pytest.mark.usefixtures("with_views")
def test_what_is_done_is_put_down_to_the_person_and_the_address(cast: Cast) -> None:
    cast.ada.post("/c/acme/things/", REMOTE_ADDR="192.0.2.7")
    event = AuditEvent.objects.get()
    assert (event.actor, event.actor_kind, event.address) == ("ada@acme.example", "member", "192.0.2.7")
    assert recording.actor() == recording.SERVICE


@pytest.mark.usefixtures("with_views")
def test_a_page_that_fails_leaves_nothing_half_done(cast: Cast) -> None:
    with pytest.raises(ZeroDivisionError):
        cast.ada.post("/c/acme/fails/")
    assert not Server.objects.filter(name="half done").exists()
    assert fence.active_scope() is None


@pytest.mark.usefixtures("with_views")
def test_staff_look_on_as_a_viewer_and_change_nothing(cast: Cast) -> None:
    assert cast.staff.get("/c/acme/things/").content == b"chat.acme.example,False"
    answer = cast.staff.post("/c/acme/things/")
    assert answer.status_code == 403
    assert "Staff look at the pages of Acme and change nothing there" in answer.content.decode()
    assert not Server.objects.filter(name="new").exists()


def test_that_staff_looked_is_in_the_customers_log_once_an_hour(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = AuditEvent.objects.filter(action="staff.look")
    now = 10.0 * HOUR
    monkeypatch.setattr("tenants.pages.door.time", lambda: now)
    for _ in range(2):
        cast.staff.get(AUDIT)
    assert looks.filter(customer_id=cast.acme.customer.pk, actor="staff@example.com", actor_kind="staff").count() == 1
    cast.staff.get("/c/cosmos/audit/")
    assert looks.count() == 2
    now += HOUR
    cast.staff.get(AUDIT)
    assert looks.count() == 3
    assert "staff@example.com (staff)" in cast.ben.get(AUDIT).content.decode()


def test_staff_who_are_members_come_in_as_members(cast: Cast) -> None:
    somebody = Membership.objects.get(role=Role.VIEWER).user
    somebody.is_staff = True
    somebody.save()
    assert cast.ben.get(AUDIT).status_code == 200
    assert not AuditEvent.objects.exists()


def test_pages_of_a_customer_are_kept_by_no_cache(cast: Cast) -> None:
    assert "no-store" in cast.ada.get(AUDIT)["Cache-Control"]


@pytest.mark.parametrize("page", ["", "email/", "2fa/", "sessions/", "customers/"])
def test_pages_of_a_person_are_kept_by_no_cache(cast: Cast, page: str) -> None:
    assert "no-store" in cast.ada.get(f"/account/{page}")["Cache-Control"]


def test_an_action_that_there_is_not_is_noticed_when_the_page_is_written() -> None:
    with pytest.raises(KeyError):
        customer_page("server.sea")


def test_a_view_that_is_not_behind_the_door_reaches_nothing(cast: Cast) -> None:
    inner: Callable[..., HttpResponse] = one_server.__wrapped__.__wrapped__  # type: ignore[attr-defined]
    with fence.activate(fence.NOTHING), pytest.raises(fence.Unscoped):
        inner(RequestFactory().get("/"), pk=1)


def test_the_table_of_roles_is_whole() -> None:
    assert set(permissions.ROLES) == set(Role.values)
    assert all(permissions.may("owner", action) for action in permissions.ACTIONS)
    for action, roles in permissions.ACTIONS.items():
        assert ("admin" in roles) >= ("viewer" in roles), action
        assert ("viewer" in roles) == action.rpartition(".")[2].startswith("see"), action
    owners_only = {action for action in permissions.ACTIONS if permissions.who_may(action) == ("owner",)}
    money = {"subscription.change", "billing.change"}
    assert owners_only == {"owner.change", *money, "customer.export", "customer.erase", "remove.release"}
