"""What each role of the staff sees and does, in the admin and on customers' pages."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError
from django.db import transaction
from django.urls import reverse
from pytest_django import DjangoDbBlocker, Settings

from hpns.staff.index import SECTIONS, Board
from tenants import permissions, staff_roles
from tenants.models import AuditEvent, Customer, Role, ServerKey
from tests.browsing import Browser, Tenant, member, tenant
from tests.staff_cast import NONE, ROLES, of_role
from tests.tenants.management.test_commands import run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

# Model of the admin, or address below /admin/ -> who sees it besides admins: s(upport), f(inance).
SEES = {
    "auth.user": "sf",
    "tenants.customer": "sf",
    "tenants.entitlement": "sf",
    "tenants.membership": "sf",
    "tenants.invitation": "sf",
    "tenants.server": "sf",
    "tenants.serverid": "sf",
    "tenants.auditevent": "sf",
    "tenants.serverkey": "s",
    "tenants.proof": "s",
    "tenants.finding": "s",
    "tenants.unknowncaller": "s",
    "tenants.pushapp": "s",
    "tenants.credential": "s",
    "tenants.removehold": "s",
    "delivery.delivery": "s",
    "billing.subscription": "sf",
    "billing.override": "sf",
    "billing.licenceproof": "sf",
    "billing.licencecase": "sf",
    "billing.usagemonth": "sf",
    "billing.usagerunning": "sf",
    "billing.usagecorrection": "sf",
    "billing.usagenotice": "sf",
    "billing.usagelimit": "sf",
    "billing.slamonth": "sf",
    "billing.slaledger": "sf",
    "billing.canaryminute": "sf",
    "billing.roundfailure": "sf",
    "billing.incident": "sf",
    "billing.maintenancewindow": "sf",
    "billing.subscriber": "s",
    "billing.plan": "f",
    "billing.planversion": "f",
    "billing.slacredit": "f",
    "billing.billingprofile": "f",
    "billing.invoicedraft": "f",
    "billing.invoice": "f",
    "billing.ledgerentry": "f",
}
ADDRESSES = {
    "/admin/boards/": "s",
    "/admin/boards/volume/": "s",
    "/admin/boards/silent/": "s",
    "/admin/boards/unknown/": "s",
    "/admin/boards/dead-letters/": "s",
    "/admin/boards/providers/": "s",
    "/admin/boards/sla/": "sf",
    "/admin/find/": "sf",
    "/c/acme/": "s",
    "/c/acme/delivery/": "s",
    "/c/acme/delivery/pushes/": "s",
    "/c/acme/search/": "s",
    "/c/acme/servers/": "s",
    "/c/acme/apps/": "s",
    "/c/acme/people/": "sf",
    "/c/acme/settings/": "sf",
    "/c/acme/subscription/": "sf",
    "/c/acme/usage/": "sf",
    "/c/acme/sla/": "sf",
    "/c/acme/licence/": "sf",
    "/c/acme/audit/": "",
}
ACME = "acme"


@pytest.fixture(scope="module")
def cast(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[dict[str, Any]]:
    """A browser for each role and Acme, made once; their rows are there until the last test of this file has ended."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield {"acme": tenant("Acme"), **{role: of_role(role) for role in ROLES}}
        transaction.set_rollback(True)


@pytest.fixture
def acme(cast: dict[str, Any]) -> Tenant:
    found: Tenant = cast[ACME]
    return found


@pytest.fixture
def by(cast: dict[str, Any], db: None) -> dict[str, Browser]:
    return {role: cast[role].twin() for role in ROLES}


def may(role: str, letters: str) -> bool:
    return role == staff_roles.ADMIN or (role != NONE and role[0] in letters)


def changelist(model: str) -> str:
    return reverse(f"admin:{model.replace('.', '_')}_changelist")


@pytest.mark.parametrize("role", ROLES)
def test_each_role_opens_just_the_lists_boards_and_pages_of_its_own(by: dict[str, Browser], role: str) -> None:
    wrong = []
    for address, letters in {**{changelist(model): letters for model, letters in SEES.items()}, **ADDRESSES}.items():
        refused = 404 if role == NONE and address.startswith("/c/") else 403
        status = by[role].get(address).status_code
        if status != (200 if may(role, letters) else refused):
            wrong.append((address, status))
    assert wrong == []


def test_every_model_of_the_admin_is_in_the_table_and_in_the_order_of_the_first_page() -> None:
    there = {f"{model._meta.app_label}.{model._meta.model_name}" for model in admin.site._registry}
    assert there == set(SEES)
    ordered = [each for _, entries in SECTIONS for each in entries if not isinstance(each, Board)]
    assert sorted(ordered) == sorted(SEES)


def test_the_roles_speak_of_nothing_that_is_gone_and_of_each_action_that_lookers_have() -> None:
    for role in staff_roles.GROUPS:
        group = Group.objects.get(name=role)
        assert set(group.permissions.values_list("content_type__app_label", "codename")) == staff_roles.codenames(role)
    looked = {action for action in permissions.ACTIONS if permissions.may(permissions.VIEWER, action)}
    assert set(staff_roles.LOOKING) == looked
    known = {f"{app}.{name}" for app, name in Permission.objects.values_list("content_type__app_label", "codename")}
    assert {each for needed in staff_roles.LOOKING.values() for each in needed} <= known
    assert apps.get_model("tenants.customer") is Customer


def test_the_first_page_names_what_is_somebodys_own_and_says_so_to_who_has_no_role(by: dict[str, Browser]) -> None:
    pages = {role: by[role].get("/admin/").content.decode() for role in ROLES}
    for role in ROLES:
        assert ("Invoices" in pages[role]) == may(role, "f"), role
        assert ("/admin/boards/&quot;" in pages[role] or 'href="/admin/boards/"' in pages[role]) == may(role, "s"), role
    assert "SLA months" in pages["support"]
    assert "You have no role among the staff yet" in pages[NONE]
    assert "Customers" not in pages[NONE]
    titles = ("Customers", "Money", "Service", "Keys &amp; apps", "Log")
    order = [pages["admin"].index(f">{title}</a>") for title in titles]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("role", "list_", "lookup"),
    [
        ("finance", "tenants.customer", "servers__keys__prefix"),
        ("finance", "tenants.server", "keys__prefix"),
        ("finance", "tenants.customer", "apps__topic"),
        ("support", "tenants.customer", "invoicedrafts__currency"),
        ("support", "billing.subscription", "version__price_minor"),
    ],
)
def test_no_list_is_searched_or_narrowed_down_by_what_its_reader_may_not_see(
    by: dict[str, Browser], acme: Tenant, role: str, list_: str, lookup: str
) -> None:
    assert by[role].get(changelist(list_), {lookup: "x"}).status_code in (400, 302)
    text = by["finance"].get(changelist("tenants.customer"), {"q": acme.key.prefix}).content.decode()
    assert "0 customers" in text
    assert "1 customer" in by["support"].get(changelist("tenants.customer"), {"q": acme.key.prefix}).content.decode()


def test_the_audit_log_shows_each_role_its_part(by: dict[str, Browser], acme: Tenant) -> None:
    for action in ("invoice.issue", "key.add", "server.add"):
        AuditEvent.objects.create(
            action=action, customer_id=acme.customer.pk, target=f"on-{action}", actor="x", actor_kind="command"
        )
    for role, letters in (("support", "key"), ("finance", "invoice"), ("admin", "key invoice")):
        text = by[role].get(changelist("tenants.auditevent")).content.decode()
        for action in ("invoice.issue", "key.add", "server.add"):
            seen = action == "server.add" or action.partition(".")[0] in letters
            assert (f"on-{action}" in text) == seen, (role, action)


def test_finance_neither_revokes_keys_nor_support_takes_payments(by: dict[str, Browser], acme: Tenant) -> None:
    order = {"action": "revoke", "_selected_action": [acme.key.pk]}
    assert by["finance"].post(changelist("tenants.serverkey"), order).status_code == 403
    assert ServerKey.objects.get(pk=acme.key.pk).revoked_at is None
    for act in ("payment", "credit", "refund"):
        assert by["support"].post(f"/admin/billing/invoice/1/{act}/", {}).status_code == 403
    assert by["support"].post(reverse("admin:billing_planversion_add"), {}).status_code == 403
    page = reverse("admin:tenants_customer_change", args=(acme.customer.pk,))
    assert by["finance"].post(page, {"name": "Other"}).status_code == 403
    assert by["finance"].post("/admin/auth/user/1/change/", {"is_active": ""}).status_code in (302, 403)


def test_support_sees_no_price_on_the_board_of_the_service_level(by: dict[str, Browser]) -> None:
    assert "You see all customers" in by["support"].get("/admin/boards/sla/").content.decode()
    assert "All boards" not in by["finance"].get("/admin/boards/sla/").content.decode()


def test_roles_are_given_by_a_command_one_at_a_time(db: None, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://push.example.com"
    made = run("staff", "add", "--email", "grace@example.com", "--role", "support")
    grace = User.objects.get(email="grace@example.com")
    assert (made["roles"], grace.is_superuser) == (["support"], False)
    assert run("staff", "role", "--email", "grace@example.com", "--role", "finance")["roles"] == ["finance"]
    assert not run("staff", "role", "--email", "grace@example.com", "--role", "finance")["changed"]
    event = AuditEvent.objects.get(action="staff.role", target="grace@example.com")
    assert event.details == {"before": "support", "after": "finance"}
    assert run("staff", "role", "--email", "grace@example.com", "--role", "admin")["roles"] == ["admin"]
    assert User.objects.get(pk=grace.pk).is_superuser
    assert run("staff", "remove", "--email", "grace@example.com")["roles"] == []
    assert not grace.groups.exists()
    with pytest.raises(CommandError, match="is no staff"):
        run("staff", "role", "--email", "grace@example.com", "--role", "finance")


def test_who_may_lock_people_out_locks_out_no_staff_but_as_an_admin(by: dict[str, Browser], acme: Tenant) -> None:
    support = User.objects.get(email__startswith="support")
    support.user_permissions.add(Permission.objects.get(codename="change_user"))
    admin = User.objects.filter(is_superuser=True).first()
    assert admin is not None
    owner = member("owner-of-acme", acme.customer, Role.OWNER)
    for user, status in ((admin, 403), (owner, 302)):
        assert by["support"].post(f"/admin/auth/user/{user.pk}/change/", {}).status_code == status, user
        user.refresh_from_db()
        assert user.is_active == (status == 403)
