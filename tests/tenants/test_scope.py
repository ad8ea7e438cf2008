"""The first fence alone: what the models' manager lets a page reach. The connection is a superuser's here, whom
row-level security does not bind."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import IntegrityError, connection, transaction
from django.db.models import DateTimeField
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from django.utils import timezone

from tenants import fence, scope
from tenants.fence import Unscoped
from tenants.models import (
    Credential,
    Customer,
    Entitlement,
    Invitation,
    Membership,
    PushApp,
    Role,
    Server,
    ServerKey,
)
from tests.browsing import Tenant, member, tenant
from tests.tenants.fenced_models import ALL

pytestmark = pytest.mark.django_db
SETTINGS = ("hpns.customer", "hpns.user", "hpns.invitation", "hpns.staff")


class Two(NamedTuple):
    """Acme, and Cosmos, to whom Acme's pages must have no way."""

    acme: Tenant
    cosmos: Tenant


@pytest.fixture
def two(db: None) -> Two:
    return Two(tenant("Acme"), tenant("Cosmos"))


@pytest.fixture
def page() -> Iterator[None]:
    """The test is a page."""
    with fence.activate(fence.NOTHING):
        yield


def settings_now() -> list[str]:
    """What the database is told at the moment."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'current_setting({name!r}, true)' for name in SETTINGS)}")
        return [value or "" for value in cursor.fetchone()]


def test_every_model_that_has_a_customer_is_fenced() -> None:
    assert set(fence.tenant_models()) == ALL
    assert all(isinstance(model._base_manager, fence.TenantManager) for model in ALL)
    assert all(type(model._default_manager) is fence.TenantManager for model in ALL)


@pytest.mark.parametrize("model", sorted(ALL, key=lambda one: one.__name__))
def test_a_page_that_forgets_the_scope_fails_and_the_error_names_the_model(model: Any, page: None) -> None:
    key = timezone.now() if isinstance(model._meta.pk, DateTimeField) else 1
    for query in (
        lambda: list(model.objects.all()),
        model.objects.count,
        lambda: model.objects.filter(pk=key).exists(),
        model.objects.update,
        lambda: model.objects.all().delete(),
        lambda: model.objects.filter(pk=key).first(),
        lambda: list(model.objects.values_list("pk")),
        model.objects.create,
        lambda: model.objects.bulk_create([model()]),
        lambda: list(model.objects.raw("SELECT 1")),
        lambda: model(pk=key).refresh_from_db(),
        lambda: model(pk=key).delete(),
    ):
        with pytest.raises(Unscoped, match=model.__name__):
            query()


def test_a_query_that_was_written_elsewhere_is_fenced_when_it_is_sent(two: Two) -> None:
    # Such as a form's choices, which are written when the module is imported.
    written_at_import = Server.objects.all()
    with fence.activate(fence.NOTHING):
        with pytest.raises(Unscoped):
            list(written_at_import.all())
        with scope.customer(two.acme.customer):
            assert list(written_at_import.all()) == [two.acme.server]
            lazy = Server.objects.all()
        with pytest.raises(Unscoped):
            list(lazy)
    assert written_at_import.count() == 2


def test_relations_are_fenced_too(two: Two) -> None:
    theirs = two.cosmos
    with scope.customer(two.acme.customer):
        assert list(theirs.customer.servers.all()) == []
        assert list(theirs.server.keys.all()) == []
        with pytest.raises(Customer.DoesNotExist):
            _ = Server(customer_id=theirs.customer.pk).customer
        with pytest.raises(ServerKey.DoesNotExist):
            theirs.key.refresh_from_db()
        assert list(ServerKey.objects.all()) == [two.acme.key]
        assert Entitlement.objects.get().customer_id == two.acme.customer.pk


def test_outside_of_the_pages_everything_is_reached_by_a_query_without_more_in_it(two: Two) -> None:
    assert Server.objects.count() == 2
    assert "WHERE" not in str(ServerKey.objects.order_by().query)


def test_a_customers_query_is_one_that_can_be_locked_updated_and_deleted(two: Two) -> None:
    with scope.customer(two.acme.customer):
        keys = ServerKey.objects.select_for_update().filter(name="").order_by()
        assert "JOIN" not in str(keys.query)
        assert list(keys) == [two.acme.key]
        assert ServerKey.objects.update(name="seen") == 1
    two.cosmos.key.refresh_from_db()
    assert two.cosmos.key.name == ""


def test_nothing_of_another_customer_can_be_made_saved_moved_or_deleted(two: Two) -> None:
    theirs, app = two.cosmos, PushApp.objects.create(label="apple_x", topic="x", family="apns", host="sandbox")
    with scope.customer(two.acme.customer):
        for act in (
            lambda: Server.objects.create(customer=theirs.customer, name="new"),
            lambda: Server.objects.get_or_create(customer=theirs.customer, name="new"),
            lambda: Server.objects.bulk_create([Server(customer=theirs.customer, name="new")]),
            lambda: ServerKey.objects.create(server=theirs.server, prefix="abcdefgh", digest=b"x" * 32),
            lambda: ServerKey(server_id=theirs.server.pk, prefix="abcdefgh", digest=b"x" * 32).save(),
            theirs.server.save,
            theirs.server.delete,
            theirs.customer.save,
            lambda: Customer.objects.create(name="New", slug="new", offer="hpns"),
            lambda: Server.objects.update(customer=theirs.customer),
            lambda: ServerKey.objects.update(server_id=theirs.server.pk),
            lambda: theirs.customer.servers.add(two.acme.server, bulk=True),
            app.save,
            lambda: PushApp.objects.create(label="apple_y", topic="x", family="apns", host="sandbox"),
        ):
            with pytest.raises(Unscoped):
                act()
        Server.objects.create(customer=two.acme.customer, name="own")
    assert sorted(Server.objects.values_list("name", flat=True)) == ["chat.acme.example", "chat.cosmos.example", "own"]


def test_a_person_reaches_their_memberships_and_those_customers_to_read_them(two: Two) -> None:
    ada = member("ada", two.acme.customer, Role.OWNER)
    member("cleo", two.cosmos.customer, Role.OWNER)
    with scope.person(ada.pk):
        assert [one.customer for one in Membership.objects.select_related("customer")] == [two.acme.customer]
        assert list(Customer.objects.all()) == [two.acme.customer]
        with pytest.raises(Unscoped, match="Server"):
            Server.objects.exists()
        with pytest.raises(Unscoped):
            two.acme.customer.save()


def test_an_invitation_reaches_itself_its_customer_and_ones_own_memberships(two: Two) -> None:
    eve = member("eve", two.cosmos.customer, Role.VIEWER)
    times = {"expires_at": "2099-01-01T00:00Z"}
    row = Invitation.objects.create(
        customer=two.acme.customer, email="e@x.example", role="viewer", digest=b"1" * 32, **times
    )
    Invitation.objects.create(customer=two.acme.customer, email="f@x.example", role="viewer", digest=b"2" * 32, **times)
    with scope.invitation(bytes(row.digest)):
        assert list(Invitation.objects.all()) == [row]
        assert list(Customer.objects.all()) == [two.acme.customer]
        assert not Membership.objects.exists()
    with scope.invitation(bytes(row.digest), eve.pk):
        assert Membership.objects.get().customer_id == two.cosmos.customer.pk
        row.accepted_at = row.created_at
        row.save()
        Membership.objects.create(user=eve, customer=two.acme.customer, role="viewer")
        with pytest.raises(Unscoped):
            Membership.objects.create(user_id=eve.pk + 1, customer=two.acme.customer, role="viewer")


def test_shared_apps_are_shown_to_who_may_use_them_and_their_credentials_to_nobody(two: Two) -> None:
    app = PushApp.objects.create(label="apple_x", topic="x", family="apns", host="sandbox")
    Credential.objects.create(app=app, kind="apns_key", sealed="v1:x", key_id="K")
    with scope.customer(two.acme.customer):
        assert list(scope.shared_apps()) == [app]
        assert not PushApp.objects.exists()
        assert not Credential.objects.exists()
        assert not app.credentials.exists()
    Entitlement.objects.filter(customer=two.acme.customer).update(may_use_shared=False)
    with scope.customer(two.acme.customer):
        assert not scope.shared_apps().exists()


def test_a_scope_takes_the_place_of_another_and_gives_it_back(two: Two) -> None:
    with scope.customer(two.acme.customer):
        with scope.staff():
            assert Server.objects.count() == 2
            assert settings_now() == ["", "", "", "on"]
        assert Server.objects.get() == two.acme.server
        assert settings_now() == [str(two.acme.customer.pk), "", "", ""]
    assert settings_now() == ["", "", "", ""]
    assert fence.active_scope() is None


def test_both_fences_are_as_before_however_a_scope_ends(two: Two) -> None:
    with scope.customer(two.acme.customer):
        before = settings_now()
        with pytest.raises(ZeroDivisionError), scope.staff():
            raise ZeroDivisionError
        assert settings_now() == before
        with pytest.raises(IntegrityError), scope.customer(two.cosmos.customer):
            Server.objects.create(customer=two.cosmos.customer, name=two.cosmos.server.name)
        assert settings_now() == before
        with scope.customer(two.cosmos.customer):  # an error that is caught inside
            try:
                with transaction.atomic():
                    Server.objects.create(customer=two.cosmos.customer, name=two.cosmos.server.name)
            except IntegrityError:
                pass
        assert settings_now() == before
        assert Server.objects.get() == two.acme.server
    assert fence.active_scope() is None


async def test_scopes_of_requests_at_the_same_time_do_not_meet() -> None:
    both = asyncio.Barrier(2)

    async def request(number: int) -> list[int | None]:
        seen = []
        with fence.activate(fence.ActiveScope(fence.ScopeKind.CUSTOMER, customer=number)):
            await both.wait()
            for _ in range(3):
                await asyncio.sleep(0)
                here = await sync_to_async(fence.active_scope)()
                seen.append(here.customer if here else None)
            await both.wait()
        assert fence.active_scope() is None
        return seen

    assert await asyncio.gather(request(1), request(2)) == [[1, 1, 1], [2, 2, 2]]


# --- The middleware


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def test_each_request_begins_without_a_scope_and_leaves_none() -> None:
    seen = []
    middleware = scope.PageMiddleware(lambda request: seen.append(fence.active_scope()) or HttpResponse("x"))  # type: ignore[func-returns-value]
    middleware(RequestFactory().get("/"))
    assert seen == [fence.NOTHING]
    assert fence.active_scope() is None


def test_what_is_streamed_later_still_belongs_to_the_page(two: Two) -> None:
    def forgetful() -> Iterator[bytes]:
        yield b"a"
        yield str(Server.objects.count()).encode()

    answer = scope.PageMiddleware(lambda request: StreamingHttpResponse(forgetful()))(RequestFactory().get("/"))
    with pytest.raises(Unscoped):
        body(answer)
    assert fence.active_scope() is None


def test_the_same_where_it_is_streamed_asynchronously() -> None:
    async def forgetful() -> AsyncIterator[bytes]:
        yield b"a"
        yield str(await sync_to_async(Server.objects.count)()).encode()

    async def respond(request: Any) -> StreamingHttpResponse:
        assert fence.active_scope() is fence.NOTHING
        return StreamingHttpResponse(forgetful())

    async def whole() -> None:
        answer = await scope.PageMiddleware(respond)(RequestFactory().get("/"))
        assert fence.active_scope() is None
        with pytest.raises(Unscoped):
            _ = [part async for part in answer]
        assert fence.active_scope() is None

    async_to_sync(whole)()
