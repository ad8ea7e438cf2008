"""The staff's search: one field leads to the customer or the row, and keeps nothing of a secret."""

import pytest
from django.utils import timezone

from hpns.staff.search import cleaned
from tenants.models import ServerKey
from tests.browsing import Tenant, tenant
from tests.hpns.staff.a_day import LICENCE, NUMBER, SERVER_ID, busy
from tests.staff_cast import of_role
from tests.tenants.management.test_commands import run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
FIND = "/admin/find/"


@pytest.fixture
def acme(db: None) -> Tenant:
    made = tenant("Acme")
    busy(made, timezone.now())
    return made


def lists(answer: object) -> list[str]:
    """The kinds of what was found."""
    return [hit.kind for hit in answer.context["hits"]]  # type: ignore[attr-defined]


def test_what_is_there_once_is_gone_to_and_several_are_listed(acme: Tenant) -> None:
    staff = of_role("admin")
    key = f"/admin/tenants/serverkey/{acme.key.pk}/change/"
    for text, there in (
        ("leaving", "/admin/tenants/customer/"),
        (NUMBER.lower(), "/admin/billing/invoice/"),
        (SERVER_ID, "/admin/tenants/serverid/"),
        (f"hk_{acme.key.prefix}", key),
        (acme.key.prefix, key),
    ):
        answer = staff.post(FIND, {"q": f" {text} "})
        assert answer.status_code == 302, text
        assert answer["Location"].startswith(there), text
    assert lists(staff.post(FIND, {"q": LICENCE}, follow=True)) == ["Licence", "Licence case"]
    assert lists(staff.post(FIND, {"q": "Acme"}, follow=True)) == ["Customer", "Server", "Licence", "Licence"]
    assert {each["kind"] for each in run("staff", "find", "acme")} == {"Customer", "Server", "Licence"}


def test_of_a_key_the_prefix_alone_is_kept_and_what_is_not_found_comes_into_no_address(acme: Tenant) -> None:
    staff = of_role("support")
    secret = f"hk_{acme.key.prefix}_{'s' * 32}"
    assert cleaned(f"https://push.example.com/t/{secret}") == f"hk_{acme.key.prefix}"
    assert staff.post(FIND, {"q": secret})["Location"] == f"/admin/tenants/serverkey/{acme.key.pk}/change/"
    ServerKey.objects.create(server=acme.server, prefix="other000", digest=b"o" * 32)
    answer = staff.post(FIND, {"q": f"hk_unknown0_{'s' * 32}"})
    assert answer.status_code == 200
    assert "sss" not in answer.content.decode()
    assert "Nothing that you may see" in answer.content.decode()


@pytest.mark.parametrize(("role", "text"), [("support", NUMBER), ("finance", "key"), ("finance", "hk_key")])
def test_nobody_finds_what_their_role_does_not_include(acme: Tenant, role: str, text: str) -> None:
    text = text.replace("key", acme.key.prefix)
    answer = of_role(role).post(FIND, {"q": text})
    assert answer.status_code == 200
    assert [hit for hit in answer.context["hits"] if hit.kind in ("Invoice", "Server key")] == []


@pytest.mark.parametrize("text", ["", "\0", "%", "' OR 1=1 --", "x" * 5_000, "hk_", "hk_\u00e4", "\u202e"])
def test_whatever_is_typed_is_answered(acme: Tenant, text: str) -> None:
    assert of_role("admin").post(FIND, {"q": text}, follow=True).status_code == 200
