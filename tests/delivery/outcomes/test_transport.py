"""Transport errors: each has a verdict wherever it can happen, and only members of TransportFault are ever reported."""

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import pytest

from delivery.log import rows
from delivery.outcomes import own
from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import MAYBE, NOT_SENT, Attempt, Outcome, Verdict, WireState
from delivery.providers.apns import outcomes as apns
from delivery.providers.fcm import outcomes as fcm
from delivery.providers.table import OUTCOMES, judge

ROOT = Path(__file__).resolve().parents[3]
REPORTING = ("delivery/http2", "delivery/providers")
"""The folders in which transport errors are found out."""
POSSIBLE: dict[TransportFault, set[WireState]] = {
    TransportFault.DNS: {NOT_SENT},
    TransportFault.CONNECT: {NOT_SENT},
    TransportFault.TLS: {NOT_SENT},
    TransportFault.PROXY: {NOT_SENT},
    TransportFault.TIMEOUT_CONNECT: {NOT_SENT},
    TransportFault.TIMEOUT: {MAYBE},
    TransportFault.CLOSED: {NOT_SENT, MAYBE},
    TransportFault.RESET: {NOT_SENT, MAYBE},
    TransportFault.REFUSED_STREAM: {NOT_SENT},
    TransportFault.GOAWAY: {NOT_SENT},
    TransportFault.PROTOCOL: {NOT_SENT, MAYBE},
    TransportFault.STOPPED: {NOT_SENT, MAYBE},
    TransportFault.CREDENTIAL: {NOT_SENT},
    TransportFault.CLOCK: {NOT_SENT},
    TransportFault.TOKEN_ENDPOINT: {NOT_SENT},
    TransportFault.SIGNATURE: {NOT_SENT},
    TransportFault.BAD_TOKEN: {NOT_SENT},
    TransportFault.TOO_LARGE: {NOT_SENT},
}
"""The states of the wire in which each can happen."""
ROWS = {
    (fault, wire): row
    for table in (own.TRANSPORT, *(one.transport for one in OUTCOMES.values()))
    for (fault, wire), row in table.items()
    if isinstance(fault, TransportFault)
}
"""The verdicts on all faults, those that one provider alone can have included."""


def without_verdict(
    table: Mapping[tuple[TransportFault, WireState], Verdict], faults: Iterable[TransportFault] = TransportFault
) -> set[tuple[TransportFault, WireState]]:
    """What can happen and has no row."""
    return {(fault, wire) for fault in faults for wire in POSSIBLE[fault]} - table.keys()


def bare(source: str) -> list[str]:
    """The string literals of a program that are the value of a fault; the names in __slots__ are no values."""
    values = set(map(str, TransportFault))
    tree = ast.parse(source)
    slots = [
        node for node in ast.walk(tree) if isinstance(node, ast.Assign) and ast.unparse(node).startswith("__slots__")
    ]
    names = {id(name) for node in slots for name in ast.walk(node)}
    literals = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in names]
    return [value for value in literals if isinstance(value, str) and value in values]


def test_each_fault_has_a_verdict_for_each_state_of_the_wire_that_it_can_have() -> None:
    assert POSSIBLE.keys() == set(TransportFault)
    assert without_verdict(ROWS) == set()


def test_a_fault_without_a_verdict_would_be_noticed() -> None:
    planted = {key: row for key, row in ROWS.items() if key != (TransportFault.CLOSED, MAYBE)}
    assert without_verdict(planted) == {(TransportFault.CLOSED, MAYBE)}


def test_no_verdict_stands_for_a_fault_that_cannot_happen() -> None:
    assert {(fault, wire) for fault, states in POSSIBLE.items() for wire in states} == ROWS.keys()


@pytest.mark.parametrize(("fault", "wire"), ROWS)
def test_a_fault_is_judged_by_its_row_as_a_member_and_as_the_text_in_the_log(
    fault: TransportFault, wire: WireState
) -> None:
    for reason in (fault, fault.value):
        assert judge(Attempt("fcm", "h", 0, reason, wire, 0.0, 1)) is ROWS[fault, wire]


def test_a_fault_of_one_provider_alone_has_no_verdict_at_another() -> None:
    made = Attempt("apns", "h", 0, TransportFault.TOKEN_ENDPOINT, NOT_SENT, 0.0, 1)
    assert judge(made) is own.UNKNOWN_FAULT
    assert fcm.TRANSPORT.keys().isdisjoint(own.TRANSPORT)


@pytest.mark.parametrize("reason", sorted(apns.GOAWAY_REASONS))
def test_a_credential_that_a_goaway_turns_down_is_judged_as_by_an_answer(reason: str) -> None:
    said = judge(Attempt("apns", "h", 0, reason, NOT_SENT, 0.0, 1))
    assert (said, said.attribution, said.is_key_fault) == (apns.ANSWERS[403, reason], "customer", True)


def test_a_reason_that_is_no_fault_is_unknown() -> None:
    assert judge(Attempt("fcm", "h", 0, "a new one", NOT_SENT, 0.0, 1)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("folder", REPORTING)
def test_no_fault_is_reported_as_a_bare_string(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    assert {file.name: found for file in files if (found := bare(file.read_text()))} == {}


def test_a_bare_string_would_be_noticed() -> None:
    assert bare('self._lost("reset", "stream reset")') == ["reset"]
    assert bare("self._lost(TransportFault.RESET, 'a reset')") == []
    assert bare("__slots__ = ('timeout',)") == []


def test_the_values_in_the_log_and_in_log_lines_stay_what_they_are() -> None:
    assert " ".join(TransportFault) == (
        "dns connect tls proxy timeout_connect timeout closed reset refused_stream goaway protocol stopped credential"
        " clock token_endpoint signature bad_token too_large"
    )


@pytest.mark.parametrize("fault", TransportFault)
def test_a_fault_is_written_like_any_other_reason(fault: TransportFault) -> None:
    member, text = (Attempt("apns", "h", 0, reason, NOT_SENT, 0.0, 1) for reason in (fault, fault.value))
    assert rows._attempt(member) == rows._attempt(text)
    assert msgspec.json.encode(member) == msgspec.json.encode(text)
    assert msgspec.msgpack.encode(member) == msgspec.msgpack.encode(text)
    assert f"{fault} {fault!s}" == f"{fault.value} {fault.value}"
