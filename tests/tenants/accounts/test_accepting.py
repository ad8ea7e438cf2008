"""Accepting an invitation: with a new account or an old one, by whom it is for, once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from tenants import services
from tenants.models import Invitation, Membership
from tenants.problem import ProblemError
from tests.browsing import RECORDS
from tests.people import PASSWORD, browser, person
from tests.tenants.accounts.conftest import Cast, events, join
from tests.tenants.accounts.test_invitations import NEW, invite, path


def fields(**more: str) -> dict[str, str]:
    return {"first_name": "Dora", "password1": PASSWORD, "password2": PASSWORD, **more}


def test_from_the_link_to_a_new_account_and_into_the_customer(cast: Cast, client: Client) -> None:
    made = invite(cast, role="admin")
    answer = client.post(path(made))
    assert answer["Location"] == "/account/signup/"
    assert NEW in client.get("/account/signup/").content.decode()
    before = client.session.session_key
    answer = client.post("/account/signup/", fields(), follow=True)
    assert answer.redirect_chain[-1][0] == "/c/acme/"
    user = User.objects.get(email=NEW)
    assert (user.first_name, cast.role(user)) == ("Dora", "admin")
    assert user.emailaddress_set.get().verified  # type: ignore[attr-defined]
    assert client.session.session_key != before
    (event,) = events("invitation.accept")
    assert (event.actor, event.actor_kind, event.address, event.customer_id) == (
        NEW,
        "member",
        "127.0.0.1",
        cast.acme.pk,
    )
    assert [event.actor for event in events("account.sign_up")] == [NEW]


@pytest.mark.parametrize("source", ["form", "address"])
def test_no_other_address_can_be_signed_up(cast: Cast, client: Client, source: str) -> None:
    client.post(path(invite(cast)))
    other = "mallory@example.com"
    if source == "form":
        client.post("/account/signup/", fields(email=other))
    else:
        client.post(f"/account/signup/?email={other}", fields())
    assert User.objects.filter(email=NEW).exists()
    assert not User.objects.filter(email=other).exists()


@pytest.mark.django_db
def test_nobody_signs_up_without_an_invitation(client: Client) -> None:
    assert "by invitation" in client.get("/account/signup/").content.decode()
    client.post("/account/signup/", fields(email="mallory@example.com"))
    assert not User.objects.exists()


def test_mass_assignment_makes_nobody_staff(cast: Cast, client: Client) -> None:
    client.post(path(invite(cast)))
    client.post("/account/signup/", fields(is_staff="on", is_superuser="on", username="root", role="owner"))
    user = User.objects.get(email=NEW)
    assert (user.is_staff, user.is_superuser, cast.role(user)) == (False, False, "viewer")
    assert user.username != "root"


def test_a_weak_password_makes_no_account_and_uses_nothing_up(cast: Cast, client: Client) -> None:
    client.post(path(invite(cast)))
    answer = client.post("/account/signup/", fields(password1="short", password2="short"))
    assert "at least 12 characters" in answer.content.decode()
    assert not User.objects.filter(email=NEW).exists()
    assert Invitation.objects.get().accepted_at is None


def test_who_has_an_account_logs_in_and_accepts(cast: Cast, client: Client) -> None:
    made = invite(cast, "cleo@example.com")
    answer = client.post(path(made))
    assert answer["Location"] == "/account/login/?next=/invitation/"
    login = {"login": "cleo@example.com", "password": PASSWORD}
    answer = client.post(answer["Location"], login, follow=True)
    assert answer.redirect_chain[-1][0] == "/invitation/"
    assert client.post("/invitation/")["Location"] == "/c/acme/"
    assert cast.role(cast.cleo) == "viewer"


def test_who_is_logged_in_with_another_address_is_told_so(cast: Cast) -> None:
    made = invite(cast)
    cleo = browser(cast.cleo)
    for answer in (cleo.get(path(made)), cleo.post(path(made))):
        assert "You are logged in as cleo@example.com, and the invitation is for dora@example.com" in (
            answer.content.decode()
        )
    assert answer.status_code == 409
    assert cast.role(cast.cleo) is None
    assert Invitation.objects.get().accepted_at is None


def test_an_address_that_is_not_verified_opens_nothing(cast: Cast) -> None:
    made = invite(cast, "eve@example.com")
    eve = person("eve")
    eve.emailaddress_set.update(verified=False)  # type: ignore[attr-defined]
    with pytest.raises(ProblemError, match=r"is for eve@example\.com"):
        services.invitation_accept(invitation=made.row, user=eve)


@pytest.mark.parametrize("end", ["accepted", "withdrawn", "expired", "replaced", "unknown"])
def test_a_dead_link_says_why_and_does_nothing(cast: Cast, client: Client, end: str) -> None:
    made = invite(cast, "cleo@example.com")
    if end == "accepted":
        services.invitation_accept(invitation=made.row, user=cast.cleo)
    elif end == "withdrawn":
        services.invitation_withdraw(invitation=made.row, by=services.OPERATOR)
    elif end == "expired":
        Invitation.objects.update(expires_at=made.row.created_at)
    elif end == "replaced":
        invite(cast, "cleo@example.com")
    address = path(made) if end != "unknown" else "/invitation/" + "x" * 43 + "/"
    results = {"accepted": "accepted already", "expired": "expired on", "unknown": "no such invitation"}
    cleo = browser(cast.cleo)
    for answer in (client.get(address), client.post(address), cleo.post(address)):
        assert answer.status_code == (404 if end == "unknown" else 410)
        assert results.get(end, "withdrawn, or a newer one was sent") in answer.content.decode()
    assert Membership.objects.filter(customer=cast.acme).count() == (4 if end == "accepted" else 3)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_accept_at_once_one_does(cast: Cast) -> None:
    made = invite(cast, "cleo@example.com")
    barrier = threading.Barrier(2)

    def accept(_: int) -> str:
        try:
            barrier.wait()
            services.invitation_accept(invitation=made.row, user=cast.cleo)
        except ProblemError as problem:
            return str(problem)
        finally:
            connections.close_all()
        return "accepted"

    with ThreadPoolExecutor(2) as pool:
        results = sorted(pool.map(accept, range(2)))
    assert results == ["accepted", "this invitation can no longer be used: ask for a new one"]
    assert Membership.objects.filter(customer=cast.acme, user=cast.cleo).count() == 1
    assert len(events("invitation.accept")) == 1


def test_an_invitation_that_dies_before_the_sign_up_makes_no_account(cast: Cast, client: Client) -> None:
    made = invite(cast)
    client.post(path(made))
    Invitation.objects.filter(pk=made.row.pk).update(expires_at=made.row.created_at - timedelta(seconds=1))
    client.post("/account/signup/", fields())
    assert not User.objects.filter(email=NEW).exists()


def test_who_joined_in_another_way_uses_the_invitation_up_and_keeps_the_role(cast: Cast) -> None:
    made = invite(cast, "cleo@example.com", "viewer")
    join(cast.cleo, cast.acme, "admin")
    assert not services.invitation_accept(invitation=made.row, user=cast.cleo).changed
    assert cast.role(cast.cleo) == "admin"


@pytest.mark.django_db(transaction=True)
def test_a_form_that_is_sent_several_times_at_once_makes_one_account_and_no_error(cast: Cast) -> None:
    made = invite(cast)
    browsers = [Client(raise_request_exception=False) for _ in range(6)]
    for each in browsers:
        assert each.post(path(made))["Location"] == "/account/signup/"
    together = threading.Barrier(len(browsers))

    def sign_up(client: Client) -> int:
        together.wait(20)
        try:
            return client.post("/account/signup/", fields()).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(browsers)) as pool:
        statuses = list(pool.map(sign_up, browsers))
    assert set(statuses) <= {200, 302, 303, 403, 409, 410}, statuses
    assert User.objects.filter(email=NEW).count() == 1
    assert Membership.objects.filter(user__email=NEW).count() == 1


def test_who_has_just_chosen_a_password_is_not_asked_for_it_again(cast: Cast, client: Client) -> None:
    client.post(path(invite(cast)))
    client.post("/account/signup/", fields())
    assert [record["method"] for record in client.session[RECORDS]] == ["password"]
