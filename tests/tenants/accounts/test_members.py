"""Members: who may make whom what, and that a customer never loses its last owner."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from tenants import services
from tenants.models import Invitation, Membership
from tenants.problem import ProblemError
from tests.people import browser, person
from tests.tenants.accounts.conftest import Cast, events, join

LAST = "the last owner cannot be"


def test_the_last_owner_cannot_leave_be_removed_or_lowered(cast: Cast) -> None:
    ada = cast.member(cast.ada)
    with pytest.raises(ProblemError, match=f"{LAST} the one to leave"):
        services.member_leave(membership=ada)
    with pytest.raises(ProblemError, match=f"{LAST} removed"):
        services.member_remove(membership=ada, by=services.OPERATOR)
    with pytest.raises(ProblemError, match=f"{LAST} lowered"):
        services.member_set_role(membership=ada, role="admin", by=ada)
    assert cast.role(cast.ada) == "owner"


def test_with_a_second_owner_the_first_one_can_go(cast: Cast) -> None:
    services.member_set_role(membership=cast.member(cast.ben), role="owner", by=cast.member(cast.ada))
    services.member_leave(membership=cast.member(cast.ada))
    assert (cast.role(cast.ada), cast.role(cast.ben)) == (None, "owner")


def test_owners_of_another_customer_do_not_count(cast: Cast) -> None:
    join(cast.ada, cast.cosmos, "owner")
    with pytest.raises(ProblemError, match=LAST):
        services.member_leave(membership=cast.member(cast.ada))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["leave", "remove", "lower"])
def test_of_two_owners_who_go_at_once_one_stays(cast: Cast, how: str) -> None:
    join(cast.cleo, cast.acme, "owner")
    pairs = [(cast.member(cast.ada), cast.member(cast.cleo)), (cast.member(cast.cleo), cast.member(cast.ada))]
    barrier = threading.Barrier(2)
    acts: dict[str, Callable[[Membership, Membership], object]] = {
        "leave": lambda one, _: services.member_leave(membership=one),
        "remove": lambda one, other: services.member_remove(membership=one, by=other),
        "lower": lambda one, _: services.member_set_role(membership=one, role="viewer", by=one),
    }

    def act(pair: tuple[Membership, Membership]) -> str:
        try:
            barrier.wait()
            acts[how](*pair)
        except ProblemError as problem:
            return str(problem)
        finally:
            connections.close_all()
        return ""

    with ThreadPoolExecutor(2) as pool:
        results = sorted(pool.map(act, pairs))
    assert results[0] == ""
    assert LAST in results[1] or "only owners and admins" in results[1]
    assert Membership.objects.filter(customer=cast.acme, role="owner").count() == 1


def test_an_admin_changes_everybody_but_owners(cast: Cast) -> None:
    ivan = cast.member(cast.ivan)
    services.member_set_role(membership=cast.member(cast.ben), role="admin", by=ivan)
    with pytest.raises(ProblemError, match="only an owner may make"):
        services.member_set_role(membership=cast.member(cast.ben), role="owner", by=ivan)
    join(cast.cleo, cast.acme, "owner")
    for who in (cast.ada, cast.cleo):
        with pytest.raises(ProblemError, match="only an owner"):
            services.member_set_role(membership=cast.member(who), role="viewer", by=ivan)
        with pytest.raises(ProblemError, match="only an owner"):
            services.member_remove(membership=cast.member(who), by=ivan)
    services.member_remove(membership=cast.member(cast.ben), by=ivan)
    assert cast.role(cast.ben) is None


def test_a_viewer_and_a_stranger_change_nobody(cast: Cast) -> None:
    for by in (cast.member(cast.ben), Membership.objects.get(user=cast.cleo)):
        with pytest.raises(ProblemError, match="only owners and admins"):
            services.member_set_role(membership=cast.member(cast.ivan), role="viewer", by=by)
        with pytest.raises(ProblemError, match="only owners and admins"):
            services.member_remove(membership=cast.member(cast.ivan), by=by)


def test_who_was_lowered_meanwhile_acts_with_the_lower_right(cast: Cast) -> None:
    stale = cast.member(cast.ivan)
    services.member_set_role(membership=cast.member(cast.ivan), role="viewer", by=cast.member(cast.ada))
    with pytest.raises(ProblemError, match="only owners and admins"):
        services.member_remove(membership=cast.member(cast.ben), by=stale)


def test_the_same_role_again_changes_nothing_and_is_not_noted(cast: Cast) -> None:
    assert not services.member_set_role(membership=cast.member(cast.ben), role="viewer", by=services.OPERATOR).changed
    assert events("member.role") == []
    with pytest.raises(ProblemError, match="must be one of owner, admin, viewer"):
        services.member_set_role(membership=cast.member(cast.ben), role="root", by=services.OPERATOR)


def test_who_goes_takes_open_invitations_along(cast: Cast) -> None:
    join(cast.cleo, cast.acme, "owner")
    add = services.invitation_add
    add(customer=cast.acme, email="mallory@example.com", role="owner", by=cast.member(cast.cleo))
    add(customer=cast.acme, email="dora@example.com", role="viewer", by=cast.member(cast.ada))
    services.member_remove(membership=cast.member(cast.cleo), by=cast.member(cast.ada))
    still = Invitation.objects.filter(withdrawn_at=None)
    assert [row.email for row in still] == ["dora@example.com"]
    (event,) = events("invitation.withdraw")
    assert event.details == {"reason": "cleo@example.com sent it"}


def test_what_was_done_is_noted_with_who_did_it(cast: Cast) -> None:
    ada = browser(cast.ada)
    ben, ivan = cast.member(cast.ben), cast.member(cast.ivan)
    ada.post(f"/c/acme/people/{ben.pk}/role/", {"role": "admin"})
    ada.post(f"/c/acme/people/{ivan.pk}/remove/")
    browser(cast.ben).post("/c/acme/people/leave/")
    noted = [events(action)[0] for action in ("member.role", "member.remove", "member.leave")]
    assert [(event.actor, event.target) for event in noted] == [
        ("ada@example.com", "ben@example.com"),
        ("ada@example.com", "ivan@example.com"),
        ("ben@example.com", "ben@example.com"),
    ]
    assert noted[0].details == {"before": "viewer", "after": "admin"}
    assert {event.address for event in noted} == {"127.0.0.1"}
    assert {event.customer_id for event in noted} == {cast.acme.pk}


def test_the_page_shows_each_role_what_it_may_do(cast: Cast) -> None:
    pages = {user.username: browser(user).get("/c/acme/people/").content.decode() for user in cast[2:5]}
    for text in pages.values():
        assert all(f"{name}@example.com" in text for name in ("ada", "ivan", "ben"))
    assert "Invite somebody" in pages["ada"]
    assert "Invite somebody" in pages["ivan"]
    assert "Only an owner may change an owner" in pages["ivan"]
    assert "<option" not in pages["ben"]
    assert "Invite somebody" not in pages["ben"]
    assert browser(cast.cleo).get("/c/acme/people/").status_code == 404


def test_another_customers_ids_are_unknown_here(cast: Cast) -> None:
    theirs = Membership.objects.get(user=cast.cleo)
    invited = services.invitation_add(customer=cast.cosmos, email="d@example.com", role="viewer", by=theirs).row
    ada = browser(cast.ada)
    for address in (
        f"/c/acme/people/{theirs.pk}/role/",
        f"/c/acme/people/{theirs.pk}/remove/",
        f"/c/acme/people/invitations/{invited.pk}/again/",
        f"/c/acme/people/invitations/{invited.pk}/withdraw/",
        f"/c/cosmos/people/{theirs.pk}/remove/",
    ):
        assert ada.post(address, {"role": "viewer"}).status_code == 404, address
    assert ada.get(f"/c/acme/people/{theirs.pk}/remove/").status_code == 404
    theirs.refresh_from_db()
    invited.refresh_from_db()
    assert (theirs.role, invited.withdrawn_at) == ("owner", None)


def test_a_viewer_is_refused_by_each_form(cast: Cast) -> None:
    ben, row = browser(cast.ben), cast.member(cast.ivan)
    for address in (
        "invite/",
        f"{row.pk}/role/",
        f"{row.pk}/remove/",
        "invitations/1/again/",
        "invitations/1/withdraw/",
    ):
        assert ben.post(f"/c/acme/people/{address}", {"role": "viewer"}).status_code == 403, address


def test_forms_need_their_token(cast: Cast) -> None:
    ada = browser(cast.ada, enforce_csrf_checks=True)
    assert ada.post("/c/acme/people/invite/", {"email": "d@example.com", "role": "viewer"}).status_code == 403
    assert ada.post("/account/logout/").status_code == 403
    assert not Invitation.objects.exists()


def test_the_last_owner_is_told_what_to_do(cast: Cast) -> None:
    answer = browser(cast.ada).post("/c/acme/people/leave/", follow=True)
    assert "The last owner cannot be the one to leave: make somebody else an owner first." in answer.content.decode()


def test_removing_asks_first(cast: Cast) -> None:
    row = cast.member(cast.ben)
    answer = browser(cast.ada).get(f"/c/acme/people/{row.pk}/remove/")
    assert "Remove ben@example.com" in answer.content.decode()
    assert cast.role(cast.ben) == "viewer"


def test_a_person_of_no_customer_is_told_what_to_do(cast: Cast) -> None:
    text = browser(person("dora")).get("/account/start/", follow=True).content.decode()
    assert "You belong to no customer" in text
    assert "dora@example.com" in text
