"""The door of a customer's pages, seen by browsers whose requests are answered as the pages' role."""

import csv
import io
from collections.abc import Callable
from typing import NamedTuple

import pytest
from django.http import HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.test import RequestFactory
from django.urls import path
from pytest_django import Settings

from hpns.urls import urlpatterns as ours
from tenants import audit, fence, permissions
from tenants.models import AuditEvent, Membership, Role, Server
from tenants.pages import HOUR, CustomerRequest, customer_page
from tenants.views.audit import lines
from tests.browsing import Browser, Tenant, member, staff, tenant

pytestmark = pytest.mark.django_db
AUDIT = "/c/acme/audit/"


class Cast(NamedTuple):
    """Two customers, and browsers of Acme's owner and viewer and of the staff."""

    acme: Tenant
    cosmos: Tenant
    ada: Browser
    ben: Browser
    staff: Browser


@pytest.fixture
def cast(db: None) -> Cast:
    acme, cosmos = tenant("Acme"), tenant("Cosmos")
    ada = Browser().enter(member("ada", acme.customer, Role.OWNER))
    ben = Browser().enter(member("ben", acme.customer, Role.VIEWER))
    return Cast(acme, cosmos, ada, ben, Browser().enter(staff(), factor=True))


# --- Views of this test, behind the real door


@customer_page("server.see")
def one_server(request: CustomerRequest, pk: int) -> HttpResponse:
    return HttpResponse(Server.objects.get(pk=pk).name) if Server.objects.filter(pk=pk) else HttpResponse(status=404)


@customer_page("server.see", change="server.change")
def servers(request: CustomerRequest) -> TemplateResponse:
    if request.method == "POST":
        Server.objects.create(customer=request.customer, name="new")
        audit.record("server.add", customer=request.customer, target="new")
    # Asked for while the template is rendered, which Django does after the view.
    template = engines["django"].from_string("{% for one in servers %}{{ one.name }},{% endfor %}{{ may }}")
    return TemplateResponse(request, template, {"servers": Server.objects.all(), "may": request.may("server.change")})


@customer_page("owner.change", methods=("POST",))
def fails(request: CustomerRequest) -> HttpResponse:
    Server.objects.create(customer=request.customer, name="half done")
    raise ZeroDivisionError


urlpatterns = [
    *ours,
    path("c/<slug:slug>/things/", servers),
    path("c/<slug:slug>/things/<int:pk>/", one_server),
    path("c/<slug:slug>/fails/", fails),
]
handler404 = "hpns.views.not_found"


@pytest.fixture
def with_views(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__


def test_who_is_not_logged_in_is_led_to_the_login_and_back(cast: Cast) -> None:
    answer = Browser().get(f"{AUDIT}?action=key")
    assert answer.status_code == 302
    assert answer["Location"].endswith("?next=/c/acme/audit/%3Faction%3Dkey")


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
    assert fence.reach() is None


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
    assert audit.actor() == audit.SERVICE


@pytest.mark.usefixtures("with_views")
def test_a_page_that_fails_leaves_nothing_half_done(cast: Cast) -> None:
    with pytest.raises(ZeroDivisionError):
        cast.ada.post("/c/acme/fails/")
    assert not Server.objects.filter(name="half done").exists()
    assert fence.reach() is None


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
    monkeypatch.setattr("tenants.pages.time", lambda: now)
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
    with fence.reaching(fence.NOTHING), pytest.raises(fence.Unscoped):
        inner(RequestFactory().get("/"), pk=1)


def test_the_table_of_roles_is_whole() -> None:
    assert set(permissions.ROLES) == set(Role.values)
    assert all(permissions.may("owner", action) for action in permissions.ACTIONS)
    for action, roles in permissions.ACTIONS.items():
        assert ("admin" in roles) >= ("viewer" in roles), action
        assert ("viewer" in roles) == action.rpartition(".")[2].startswith("see"), action
    owners_only = {action for action in permissions.ACTIONS if permissions.who_may(action) == ("owner",)}
    assert owners_only == {"owner.change", "subscription.change", "customer.export", "customer.erase"}


# --- The audit log


def note(cast: Cast, count: int, action: str = "key.add") -> None:
    for number in range(count):
        audit.record(action, customer=cast.acme.customer, target=f"{action} {number:03}")
    audit.record("key.add", customer=cast.cosmos.customer, target="not Acme's")
    audit.record("settings.change", customer=None, target="the operator's")


def test_the_log_is_read_page_by_page_the_newest_first(cast: Cast) -> None:
    note(cast, 120)
    seen, address = [], AUDIT
    while address:
        text = cast.ben.get(address).content.decode()
        seen += [cell.partition("<")[0] for cell in text.split('data-label="On">')[1:]]
        _, _, rest = text.partition('<a class="button" rel="next" href="')
        address = AUDIT + rest.partition('"')[0].replace("&amp;", "&") if rest else ""
    assert seen == [f"key.add {number:03}" for number in reversed(range(120))]


def test_an_older_page_of_the_log_leads_back_to_the_newest_of_the_same_kind(cast: Cast) -> None:
    note(cast, 51)
    first = cast.ben.get(f"{AUDIT}?action=key.add").content.decode()
    assert ">Newest<" not in first
    older = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert '<a class="button" href="?action=key.add">Newest</a>' in cast.ben.get(AUDIT + older).content.decode()


def test_the_log_can_be_narrowed_to_an_action_or_to_a_noun(cast: Cast) -> None:
    note(cast, 1, "key.add")
    note(cast, 1, "key.revoke")
    note(cast, 1, "server.add")
    for chosen, shown in (("key", {"add", "revoke"}), ("key.revoke", {"revoke"}), ("", {"add", "revoke", "server"})):
        text = cast.ben.get(f"{AUDIT}?action={chosen}").content.decode().partition("<tbody>")[2]
        words = {"add": "key.add 000", "revoke": "key.revoke 000", "server": "server.add 000"}
        assert {name for name, word in words.items() if word in text} == shown


def test_the_log_says_in_words_what_was_done_and_is_narrowed_by_them(cast: Cast) -> None:
    note(cast, 1, "key.revoke")
    note(cast, 1, "key.add")
    note(cast, 1, "of.old")
    text = cast.ben.get(f"{AUDIT}?action=key.revoke").content.decode()
    assert '<option value="key.revoke" selected>Revoked a key</option>' in text
    choices = [option.partition("<")[0].partition(">")[2] for option in text.split('<option value="')[1:]]
    assert choices == ["Everything", "Made a key", "of.old", "Revoked a key"]
    assert "Only: Revoked a key" in text
    assert text.count('<td data-label="What">Revoked a key</td>') == 1
    assert 'data-label="What">Made a key' not in text


def test_the_log_can_be_taken_along_as_soon_as_there_is_an_entry(cast: Cast) -> None:
    assert "audit.csv" not in cast.ada.get(AUDIT).content.decode()
    note(cast, 1)
    assert "audit.csv" in cast.ada.get(AUDIT).content.decode()
    assert "audit.csv" not in cast.ada.get(f"{AUDIT}?action=server").content.decode()
    assert "audit.csv" not in cast.ben.get(AUDIT).content.decode()


@pytest.mark.parametrize("path", [f"{AUDIT}?action=%00", f"{AUDIT}?x=1&action=key%00", "/c/acme/servers/%00/"])
def test_what_no_database_can_look_for_is_not_found(cast: Cast, path: str) -> None:
    assert cast.ada.get(path).status_code == 404


@pytest.mark.parametrize("before", ["0001-01-01T00:00:00+23:59~1", "9999-12-31T23:59:59-23:59~1"])
def test_a_place_beyond_the_calendar_is_the_beginning(cast: Cast, before: str) -> None:
    note(cast, 1)
    assert "key.add 000" in cast.ben.get(AUDIT, {"before": before}).content.decode()


@pytest.mark.parametrize("before", ["x", "~", "2026-01-01~1", "2026-01-01T00:00:00+00:00~-1", "~" + "9" * 30, "%00~1"])
def test_a_place_that_is_none_is_the_beginning(cast: Cast, before: str) -> None:
    note(cast, 1)
    assert "key.add 000" in cast.ben.get(AUDIT, {"before": before}).content.decode()


def test_what_stands_in_the_log_is_escaped(cast: Cast) -> None:
    audit.record("key.add", customer=cast.acme.customer, target="<script>1</script>", note="<script>2</script>")
    text = cast.ben.get(AUDIT).content.decode()
    assert "&lt;script&gt;1" in text
    assert "&lt;script&gt;2" in text
    assert "<script>" not in text


def test_the_whole_log_is_taken_along_as_csv(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenants.views.audit.IN_A_PIECE", 7)
    note(cast, 20)
    rows = list(csv.reader(io.StringIO(cast.ada.body("/c/acme/audit.csv").decode())))
    assert rows[0] == ["time", "by", "capacity", "address", "action", "target", "details", "words"]
    assert [row[5] for row in rows[1:]] == ["Acme", *(f"key.add {number:03}" for number in reversed(range(20)))]
    assert (rows[1][4], rows[1][7]) == ("audit.export", "Downloaded the audit log")
    narrowed = cast.ada.body("/c/acme/audit.csv?action=audit").decode()
    assert narrowed.count("\n") == 3


def test_what_comes_in_pieces_is_not_packed_piece_by_piece(cast: Cast) -> None:
    # Browsers read the first pack alone; what comes whole is packed.
    asked = {"Accept-Encoding": "gzip"}
    assert cast.ada.get("/c/acme/audit.csv", headers=asked)["Content-Encoding"] == "identity"
    assert cast.ada.get(AUDIT, headers=asked)["Content-Encoding"] == "gzip"


def test_a_spreadsheet_takes_no_cell_for_a_formula() -> None:
    for text in ("=1+1", "+1", "-1", "@x", "\tx", "\rx"):
        (row,) = csv.reader(io.StringIO(lines([[text, "x=1"]]).decode(), newline=""))
        assert row == [f"'{text}", "x=1"]
