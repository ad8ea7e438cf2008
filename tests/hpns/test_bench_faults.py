"""The judge of the runs in which things die: it notices each kind of fault in a record, and lets nothing pass."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from delivery.sandbox.answers import Answer
from delivery.sandbox.journal import Entry, Request
from tests.bench.faults import catalogue, report, soak
from tests.bench.faults.judge import BREACHES, breaches, judge
from tests.bench.faults.records import NO_ANSWER, RESET, UNREACHED, OnWire, Record, Row, Told, load, on_wire, save

Change = Callable[[Record], None]


def sound() -> Record:
    """Four pushes of which all is as it has to be: sent, sent twice in one place, gone, and turned away."""
    told = {
        "a": Told("a", "Acme", "message", 1.0, status="OK", seconds=0.1),
        "b": Told("b", "Acme", "message", 2.0, status="OK", seconds=0.1),
        "c": Told("c", "Acme", "gone", 3.0, gone=True, status="REMOVE", seconds=0.1),
        "d": Told("d", "Acme", "message", 4.0, status="FAIL", code="queue_down", seconds=0.1),
    }
    wire = [
        OnWire("a", 1.0, "id-a", True, "phone a post", True),
        OnWire("b", 2.0, "id-b", True, "phone b post", True),
        OnWire("b", 2.5, "id-b", True, "phone b post", True),
        OnWire("c", 3.0, "id-c", True, "phone c post", False),
    ]
    rows = [
        Row("a", "sent", "sent", "OK"),
        Row("b", "sent", "sent", "OK"),
        Row("c", "gone", "apns_unregistered", "REMOVE"),
        Row("d", "failed", "queue_down", "FAIL"),
    ]
    return Record(told, wire, rows, 1.0)


def test_a_sound_record_has_no_breach_and_counts_what_happened() -> None:
    tally = judge(sound())
    assert breaches(tally) == []
    assert (tally.pushes, tally.accepted, tally.ok, tally.removed, tally.fail) == (4, 3, 2, 1, {"queue_down": 1})
    assert (tally.delivered, tally.wire_repeats, tally.phone_repeats) == (2, 1, 0)


def _unsent(record: Record) -> None:
    record.wire.pop(0)


def _unsent_without_row(record: Record) -> None:
    record.wire.pop(0)
    record.rows.pop(0)


def _expired(record: Record) -> None:
    record.wire.pop(0)
    record.rows[0] = Row("a", "expired", "expired", "OK")


def _shown_again(record: Record) -> None:
    record.wire[1].place = record.wire[2].place = ""


def _rings_again(record: Record) -> None:
    _shown_again(record)
    record.told["b"].kind = "call"


def _other_id(record: Record) -> None:
    record.wire[2].apns_id = "another"


def _muted(record: Record) -> None:
    record.told["c"].gone = False


def _no_row(record: Record) -> None:
    record.rows.pop(2)


def _two_rows(record: Record) -> None:
    record.rows.append(Row("a", "sent", "sent", "OK"))


def _other_answer(record: Record) -> None:
    record.rows[0].answer = "FAIL"


def _unlogged(record: Record) -> None:
    record.rows.pop(3)


def _no_answer(record: Record) -> None:
    record.told["a"].status = NO_ANSWER


def _unreached(record: Record) -> None:
    record.told["d"].status = UNREACHED
    record.rows.pop(3)


def _reset_untaken(record: Record) -> None:
    record.told["d"].status = RESET
    record.rows.pop(3)


def _reset_and_sent(record: Record) -> None:
    record.told["a"].status = RESET
    record.rows.pop(0)


DOCTORED: dict[str, tuple[str, Change]] = {
    "told OK and neither delivered nor ended": ("lost", _unsent),
    "told OK and without a trace": ("lost", _unsent_without_row),
    "told OK and expired": ("ok_otherwise", _expired),
    "a phone shows it twice": ("phone_repeats", _shown_again),
    "a phone rings twice": ("rings_again", _rings_again),
    "a repeat under another id": ("other_ids", _other_id),
    "a living phone is muted": ("wrongly_removed", _muted),
    "a push without its row": ("rows_missing", _no_row),
    "a push with two rows": ("rows_double", _two_rows),
    "a row that says another answer": ("told_otherwise", _other_answer),
    "a refusal in no row": ("unlogged", _unlogged),
    "a push that is never answered": ("no_answer", _no_answer),
    "a push that nobody listens for": ("unreached", _unreached),
    "a push whose connection is reset before anybody took it on": ("unreached", _reset_untaken),
    "a push whose connection is reset and that was sent": ("no_answer", _reset_and_sent),
}


@pytest.mark.parametrize("name", DOCTORED)
def test_each_kind_of_fault_in_a_record_is_noticed(name: str) -> None:
    member, change = DOCTORED[name]
    record = copy.deepcopy(sound())
    change(record)
    tally = judge(record)
    assert getattr(tally, member) == 1
    assert any(BREACHES[member] in each for each in breaches(tally))
    assert not any(BREACHES[member] in each for each in breaches(tally, {member}))


def test_every_breach_has_a_doctored_record() -> None:
    assert {member for member, _ in DOCTORED.values()} == set(BREACHES)


@pytest.mark.parametrize("seconds", [None, 61.0])
def test_a_service_that_does_not_recover_fails_the_run(seconds: float | None) -> None:
    record = sound()
    record.recovered = seconds
    assert len(breaches(judge(record))) == 1


def test_an_answer_that_takes_longer_than_a_server_waits_is_never_allowed() -> None:
    record = sound()
    record.told["a"].seconds = 29.0
    assert breaches(judge(record), {"longest"})
    record.told["a"].seconds = 9.0
    assert breaches(judge(record))
    assert not breaches(judge(record), {"longest"})


def test_a_phone_whose_end_is_known_after_the_deadline_may_be_told_ok() -> None:
    record = sound()
    record.told["c"].status = record.rows[2].answer = "OK"
    assert breaches(judge(record)) == []


def test_refusals_that_share_a_row_are_counted_in_it() -> None:
    record = sound()
    for number in range(5):
        record.told[f"d{number}"] = Told(f"d{number}", "Acme", "message", 5.0, status="FAIL", code="queue_down")
    record.rows.append(Row("d0", "failed", "queue_down", "FAIL", count=5))
    assert breaches(judge(record)) == []
    record.rows[-1].count = 3
    assert judge(record).unlogged == 2
    record.rows[-1].count = 6
    assert judge(record).rows_double == 1


def test_what_faults_cannot_help_is_said_by_names_that_there_are() -> None:
    assert {each for fault in catalogue.FAULTS for each in fault.may} <= {*BREACHES, "longest"}
    assert len({fault.name for fault in catalogue.FAULTS}) == len(catalogue.FAULTS)
    with pytest.raises(LookupError, match="No fault is called nobody"):
        catalogue.chosen(["nobody*"])


def test_a_row_of_the_table_has_a_cell_for_each_column(tmp_path: Path) -> None:
    run = report.Run("abc", "today", [], 1, [report.Row("kill-web", "", ["1.0 kill-web 2.0"], judge(sound()), [])])
    report.save(run, tmp_path / "run.json")
    lines = report.table(report.load(tmp_path / "run.json")).splitlines()
    assert {line.count("|") for line in lines} == {len(report.COLUMNS) + 1}
    save(sound(), tmp_path / "record.json")
    assert load(tmp_path / "record.json") == sound()


# --- The providers' journal


def seen(provider: str, content: object, headers: dict[str, str], answer: Answer) -> OnWire | None:
    """A request in the sandbox's journal, as a phone has it."""
    request = Request(list(headers.items()), method="POST", host="", path="", http="2", connection=1, stream=1)
    request.add(json.dumps(content).encode())
    return on_wire(Entry(1, provider, "token", request, answer, "success", "", "").report())


def test_what_a_phone_shows_and_whose_place_it_takes_is_read_from_the_journal() -> None:
    alert = {"ack_id": "a", "type": "message", "aps": {"alert": {"body": "hello"}}}
    shown = seen("apns", alert, {"apns-id": "one", "apns-collapse-id": "post"}, Answer())
    assert (shown.ack_id, shown.apns_id, shown.shown, shown.place, shown.delivered) == (
        ("a", "one", True, "token post", True) if shown is not None else ()
    )
    call = seen(
        "apns", {"ack_id": "a", "type": "message"}, {"apns-push-type": "voip", "apns-collapse-id": "x"}, Answer()
    )
    assert call is not None
    assert (call.shown, call.place) == (True, "")
    cleared = seen("apns", {**alert, "type": "clear"}, {}, Answer(hang=True))
    assert cleared is not None
    assert (cleared.shown, cleared.delivered) == (False, False)
    data = {"ack_id": "b", "type": "message", "message": "hello", "post_id": "p"}
    android = seen("fcm", {"message": {"data": data}}, {}, Answer(status=503))
    assert android is not None
    assert (android.shown, android.place, android.delivered) == (True, "token p", False)
    assert seen("fcm", {"message": {"data": {"type": "message"}}}, {}, Answer()) is None
    assert seen("oauth", {"ack_id": "c"}, {}, Answer()) is None


# --- The soak


def samples(name: str, each: Callable[[int], float]) -> list[soak.Sample]:
    """Twenty samples, 30,000 pushes apart, in which one thing is what `each` says and all else stands still."""
    still = dict.fromkeys(soak.LIMITS, 100.0)
    return [{"seconds": 60.0 * n, "pushes": 30_000.0 * n, **still, name: each(n)} for n in range(20)]


@pytest.mark.parametrize("name", soak.LIMITS)
def test_what_grows_with_every_push_is_not_flat(name: str) -> None:
    assert soak.verdict(samples(name, lambda n: 100.0 + n * soak.LIMITS[name])) != []
    assert soak.verdict(samples(name, lambda n: 100.0 + n % 2)) == []


def test_what_grows_at_first_alone_is_flat() -> None:
    assert soak.verdict(samples("web MiB", lambda n: 100.0 + 20 * min(n, 5))) == []


def test_what_a_short_load_needs_for_itself_is_no_growth() -> None:
    short = samples("web MiB", lambda n: 100.0 + 0.2 * n)
    for each in short:
        each["pushes"] /= 100
    assert soak.verdict(short) == []


def test_too_few_samples_are_no_proof() -> None:
    assert soak.verdict(samples("web MiB", lambda _: 100.0)[:5]) != []
