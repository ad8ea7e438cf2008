"""A push without a key whose server_id is proven: its signature says whose it is, each time."""

import msgspec
import pytest
from pytest_django import Settings

from delivery.protocol.wire import Push
from hpns.local.mattermost_site import Installation
from tenants import forgeries
from tenants.authentication import Keyless, Sender
from tenants.directory.live import Directory
from tenants.directory.snapshot import Identity, Snapshot
from tenants.forgeries import Forgeries
from tenants.proofs import signatures
from tenants.refusals import CallerRejected, Whose
from tests.tenants.push_request import Request

HOME, OTHER, STRANGER = Installation(diagnostic_id="proven"), Installation(diagnostic_id="proven"), Installation()
DEVICE = "ab" * 32
FIRST = Identity(0, 1, 1, active=True, rejection_code="", digest=b"", signers=(HOME.public_key,))
SECOND = Identity(0, 2, 2, active=True, rejection_code="", digest=b"", signers=(OTHER.public_key,))
BY_STAFF = Identity(0, 3, 3, active=True, rejection_code="", digest=b"")


def keyless(*listed: Identity) -> Keyless:
    directory = Directory()
    directory.install(Snapshot(1, 1.0, {}, [], [], {"proven": list(listed)}, []), "postgres")
    return Keyless(directory)


def push(installation: Installation = HOME, **changes: str) -> Push:
    made = installation.signed({"device_id": DEVICE, "platform": "apple_rn", "type": "message"})
    return msgspec.convert({**made, "server_id": "proven", **changes}, Push)


def rejection(there: Keyless, sent: Push) -> str:
    with pytest.raises(CallerRejected) as raised:
        there.identify_sender(sent, Request())
    return raised.value.code


def test_a_push_that_its_server_has_signed_is_its_servers() -> None:
    assert keyless(FIRST).identify_sender(push(), Request()) == Sender(FIRST)


def test_of_two_that_have_one_server_id_the_signature_says_whose_it_is() -> None:
    there = keyless(FIRST, SECOND)
    assert there.identify_sender(push(HOME), Request()).identity is FIRST
    assert there.identify_sender(push(OTHER), Request()).identity is SECOND


def test_after_a_change_the_old_and_the_new_key_count() -> None:
    both = msgspec.structs.replace(FIRST, signers=(OTHER.public_key, HOME.public_key))
    assert keyless(both).identify_sender(push(), Request()).identity is both


@pytest.mark.parametrize("signature", ["", "NO_SIGNATURE"])
@pytest.mark.parametrize("kind", ["message", "session", "clear", "update_badge", ""])
def test_an_unsigned_push_is_refused_by_a_code_of_its_own(signature: str, kind: str) -> None:
    assert rejection(keyless(FIRST), push(signature=signature, type=kind)) == "unsigned_push"


def test_a_test_is_nobodys_for_no_server_signs_one() -> None:
    sent = push(signature="", type="test", ack_id="")
    assert keyless(FIRST).identify_sender(sent, Request()) == Sender(FIRST, is_stranger=True)


def test_a_forged_signature_is_refused() -> None:
    there = keyless(FIRST)
    assert rejection(there, push(STRANGER)) == "wrong_signature"
    assert rejection(there, push(ack_id="another")) == "wrong_signature"
    assert rejection(there, push(device_id="another")) == "wrong_signature"
    assert rejection(there, push(type="test", signature="a.b.c")) == "wrong_signature"


def test_a_server_id_that_staff_answer_for_needs_no_signature() -> None:
    there = keyless(BY_STAFF)
    for sent in (push(), push(signature=""), push(STRANGER)):
        assert there.identify_sender(sent, Request()) == Sender(BY_STAFF)


def test_one_that_is_proven_beside_it_gets_what_it_has_signed_and_nothing_else() -> None:
    there = keyless(FIRST, BY_STAFF)
    assert there.identify_sender(push(), Request()).identity is FIRST
    assert there.identify_sender(push(STRANGER), Request()).identity is BY_STAFF
    assert there.identify_sender(push(signature=""), Request()).identity is BY_STAFF


def test_a_proven_server_that_is_suspended_is_told_so() -> None:
    suspended = msgspec.structs.replace(FIRST, rejection_code="suspended", active=False)
    assert rejection(keyless(suspended), push()) == "suspended"


def test_a_flood_of_forgeries_from_one_network_costs_no_verification_each(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    verified: list[str] = []
    real = signatures.verify
    monkeypatch.setattr(signatures, "verify", lambda key, signed: verified.append(key) or real(key, signed))
    monkeypatch.setattr(forgeries.time, "monotonic", lambda: 5.0)
    there = keyless(FIRST)
    forged = push(STRANGER)
    for _ in range(100):
        assert rejection(there, forged) == "wrong_signature"
    assert len(verified) == forgeries.FORGERIES_MAX


def test_forgeries_are_forgotten_after_a_second_and_are_bounded() -> None:
    now = 10.0
    counted = Forgeries(lambda: now)
    for number in range(forgeries.FORGERS_MAX):
        assert not counted.exceeded(f"network {number}")
        counted.count(f"network {number}")
    assert counted.exceeded("another")
    now = 11.5
    assert not counted.exceeded("another")


def test_a_flood_from_many_networks_takes_nothing_from_one_that_true_signatures_came_from() -> None:
    counted = Forgeries(lambda: 10.0)
    counted.exceeded("home")
    counted.verified("home")
    for number in range(forgeries.FORGERS_MAX):
        counted.count(f"network {number}")
    assert counted.exceeded("another")
    assert not counted.exceeded("home")
    for _ in range(forgeries.FORGERIES_MAX):
        counted.count("home")
    assert counted.exceeded("home")


def test_networks_of_true_signatures_are_bounded_and_the_oldest_goes() -> None:
    counted = Forgeries(lambda: 10.0)
    counted.exceeded("home")
    for number in range(forgeries.SIGNERS_MAX + 1):
        counted.verified(f"network {number}")
    for number in range(forgeries.FORGERS_MAX):
        counted.count(f"other {number}")
    assert counted.exceeded("network 0")
    assert not counted.exceeded("network 1")


def test_a_push_with_a_true_signature_is_remembered(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(forgeries.time, "monotonic", lambda: 5.0)
    monkeypatch.setattr(forgeries, "FORGERS_MAX", 0)
    there = keyless(FIRST)
    assert rejection(there, push()) == "wrong_signature"  # nobody is looked at any more
    monkeypatch.setattr(forgeries, "FORGERS_MAX", 500)
    assert there.identify_sender(push(), Request()).identity is FIRST
    monkeypatch.setattr(forgeries, "FORGERS_MAX", 0)
    assert there.identify_sender(push(), Request()).identity is FIRST


def test_a_refused_push_is_put_down_to_whom_its_signature_shows_and_to_nobody_else() -> None:
    suspended = msgspec.structs.replace(FIRST, rejection_code="suspended", active=False)
    there = keyless(suspended)
    whose = []
    for sent in (push(), push(signature="", type="test", ack_id="")):
        with pytest.raises(CallerRejected) as raised:
            there.identify_sender(sent, Request())
        whose.append(raised.value.whose)
    assert whose == [Whose(1, 0, 1, is_proven=True), None]


def test_a_server_id_that_is_registered_and_not_confirmed_is_told_what_to_do(settings: Settings) -> None:
    settings.TEST_SERVICE = False
    directory = Directory()
    directory.install(Snapshot(1, 1.0, {}, [], [], registered=[(1, "proven")]), "postgres")
    assert rejection(Keyless(directory), push()) == "server_id_unconfirmed"
    assert rejection(Keyless(directory), push(server_id="another")) == "no_key"
