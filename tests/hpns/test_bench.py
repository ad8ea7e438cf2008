"""The arithmetic of bin/bench: what counts, what is void, and how runs are held against each other."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from hpns.local.mattermost_site import Installation
from hpns.local.problem import ProblemError
from tenants.proofs import signatures
from tests.bench import bodies, caller, cases, figures, processes, profile, programs, record, service, signed, window

STAT = "1 (odd) name ) " + " ".join(["S", "7", *["0"] * 9, "10", "20", "3", "4", *["0"] * 4, "555", "0"])
"""A process with 30 ticks of its own and 7 of its children."""


def made(case: str = "apns-64", cpu: float = 1.0, of: str = "hpns", **other: object) -> window.Window:
    """A window of 10,000 pushes in 4 s in which ingest and worker used `cpu` seconds together, and wrk 0.2."""
    one = window.Window(
        case=case,
        service=of,
        seconds=4.0,
        answered=10_000,
        provided=10_000,
        errors=0,
        cpu={"ingest": cpu * 0.4, "worker": cpu * 0.6},
        load_cpu=0.2,
        p50_ms=5.0,
        p99_ms=20.0,
        rss={"ingest": 2**21, "worker": 2**21},
        pss={"ingest": 2**20, "worker": 2**20},
    )
    for name, value in other.items():
        setattr(one, name, value)
    return one


def test_the_cost_of_a_push_is_divided_by_what_the_provider_counted() -> None:
    assert figures.cost(made(cpu=1.0, provided=10_050)) == pytest.approx(1e6 / 10_050)


def test_a_wrk_unit_is_our_time_over_that_of_the_load_for_one_push() -> None:
    figure = figures.figure([made(cpu=1.0)])
    assert figure is not None
    assert figure.unit == pytest.approx(100 / 20)


def test_loads_other_than_wrk_have_no_wrk_units() -> None:
    (figure,) = figures.figures([made("apns-open-600-100ms")])
    assert figure.unit == 0


def test_the_median_window_by_cpu_stands_for_its_case() -> None:
    figure = figures.figure([made(cpu=3.0, p50_ms=3.0), made(cpu=1.0, p50_ms=1.0), made(cpu=2.0, p50_ms=2.0)])
    assert figure is not None
    assert (figure.all, figure.least, figure.most, figure.p50_ms) == pytest.approx((200, 100, 300, 2.0))
    assert figure.groups == pytest.approx({"ingest": 80, "worker": 120})


def test_void_windows_enter_no_figure_but_are_counted() -> None:
    figure = figures.figure([made(cpu=1.0), made(cpu=9.0, void="the provider counted 3, the load 10000")])
    assert figure is not None
    assert (figure.all, figure.void) == (100, 1)
    assert figures.figure([made(void="why")]) is None


@pytest.mark.parametrize(
    ("answered", "provided", "in_flight", "errors"),
    [(10_000, 9_899, 0, 0), (10_000, 10_101, 0, 0), (1_000, 1_075, 64, 0), (10_000, 10_000, 0, 101), (0, 0, 64, 0)],
)
def test_a_window_is_void_when_the_counts_disagree(answered: int, provided: int, in_flight: int, errors: int) -> None:
    assert window.why_void(answered, provided, in_flight, errors)


@pytest.mark.parametrize(
    ("answered", "provided", "in_flight", "errors"),
    [(10_000, 9_901, 0, 0), (10_000, 10_099, 0, 0), (1_000, 1_074, 64, 0), (10_000, 10_000, 0, 99), (50, 52, 0, 0)],
)
def test_a_window_counts_within_one_percent_and_what_was_under_way(
    answered: int, provided: int, in_flight: int, errors: int
) -> None:
    assert not window.why_void(answered, provided, in_flight, errors)


def test_two_runs_are_compared_by_the_ratio_of_their_medians_with_its_range() -> None:
    before = [made(cpu=2.0), made(cpu=2.2), made(cpu=1.8), made("fcm-1")]
    after = [made(cpu=1.0), made(cpu=1.1), made(cpu=0.9)]
    (line,) = figures.compared(before, after).splitlines()[2:]
    assert "| **0.50** (0.41-0.61) |" in line


def test_alternating_windows_are_compared_round_by_round() -> None:
    rounds = [(1.0, 2.0), (3.0, 3.0), (1.2, 2.0)]
    windows = [made(cpu=cpu, of=of) for pair in rounds for cpu, of in zip(pair, ("hpns", "other"), strict=True)]
    windows += [made(cpu=50.0), made(of="other", void="why")]
    (line,) = figures.alternated(windows, "hpns", "other").splitlines()[2:]
    assert line.startswith("| apns-64 | **0.60** (0.50-1.00) | 3 |")


def test_a_saved_run_is_read_back_whole(tmp_path: Path) -> None:
    run = record.begin(["apns-64"], {"wrk": "4.1.0"})
    run.windows.append(made())
    record.save(run, tmp_path / "deep" / "run.json")
    assert record.load(tmp_path / "deep" / "run.json") == run


def test_a_file_that_is_no_run_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(ProblemError, match="cannot be read as a run"):
        record.load(tmp_path / "run.json")


def test_the_time_of_a_child_that_ended_stays_in_the_sum_of_its_tree() -> None:
    # The shell waits for a child that burns time, then lives on.
    burn = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    with subprocess.Popen(
        ["sh", "-c", '"$1" -c "$2"; echo done; exec sleep 30', "sh", sys.executable, burn], stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            spent = processes.seconds(processes.look(), [process.pid])
        finally:
            process.kill()
    assert 0.3 <= spent < 2


def test_a_process_name_with_blanks_and_brackets_does_not_shift_the_fields() -> None:
    assert processes.parse(STAT, ["310500000 7 9\n", "500000 1 1\n"]) == processes.Seen(7, 555, 0.3, 0.07, 0.311)


def test_what_a_process_has_spent_is_told_to_the_nanosecond_unless_a_thread_has_ended() -> None:
    before = processes.Seen(7, 555, 0.30, 0.07, 0.291)
    assert processes.Seen(7, 555, 0.31, 0.07, 0.296).since(before) == pytest.approx(0.005)
    assert processes.Seen(7, 555, 0.90, 0.09, 0.296).since(before) == pytest.approx(0.62)
    assert processes.Seen(7, 777, 0.10, 0.00, 0.105).since(before) == pytest.approx(0.105)


def test_the_time_of_a_process_that_has_ended_is_its_parents() -> None:
    before = {2: processes.Seen(1, 1, 1.0, 0.0, 1.0), 3: processes.Seen(2, 1, 5.0, 0.0, 5.0)}
    after = {2: processes.Seen(1, 1, 1.5, 6.0, 1.5), 4: processes.Seen(2, 9, 0.2, 0.0, 0.2)}
    assert processes.spent(before, after, [2, 3], [2, 4]) == pytest.approx(0.5 + 1.0 + 0.2)


def test_what_has_a_group_of_its_own_counts_with_that_alone() -> None:
    seen = {pid: processes.Seen(parent, 1, 0.0) for pid, parent in ((2, 1), (3, 2), (4, 3), (5, 2), (6, 1))}
    assert processes.trees(seen, {"ingest": [2], "pages": [3], "beat": [6]}) == {
        "ingest": [2, 5],
        "pages": [3, 4],
        "beat": [6],
    }


def test_a_process_that_was_started_anew_is_not_the_same() -> None:
    before = {5: processes.Seen(1, 100, 0.0)}
    assert processes.same(before, {5: processes.Seen(1, 100, 9.0)}, [5])
    assert not processes.same(before, {5: processes.Seen(1, 200, 0.0)}, [5])
    assert not processes.same(before, {}, [5])


def test_the_memory_of_this_very_process_is_found() -> None:
    resident, proportional = processes.memory([os.getpid()])
    assert resident >= proportional > 2**20


def test_cases_are_chosen_by_pattern_and_an_unknown_one_is_named() -> None:
    known = cases.catalogue()
    assert [case.name for case in cases.chosen(known, ["apns-?", "fcm-64"])] == ["apns-1", "fcm-64"]
    assert cases.chosen(known, []) == known
    with pytest.raises(LookupError, match="No case is called apns-65"):
        cases.chosen(known, ["apns-65"])


def test_missing_programs_are_told_with_the_command_that_installs_them(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=r"apt-get install .*nginx wrk libnginx-mod-http-echo$"):
        programs.find(root=tmp_path, search_path=str(tmp_path))


@pytest.mark.parametrize(("provider", "size"), [("apns", 960), ("fcm", 1190)])
def test_the_pushes_have_the_size_of_real_ones_and_are_the_same_every_time(provider: str, size: int) -> None:
    first, second = ([bodies.push(random.Random(n), provider) for n in range(100)] for _ in range(2))  # noqa: S311
    assert first == second
    assert sum(map(len, first)) / 100 == pytest.approx(size, rel=0.03)


def test_every_push_of_the_open_loop_has_an_ack_id_of_its_own(tmp_path: Path) -> None:
    stream = caller.requests(bodies.write(tmp_path, "apns"), "/t/key", "r" * 14)
    sent = [next(stream) for _ in range(2 * bodies.COUNT)]
    heads, contents = zip(*(request.split(b"\r\n\r\n") for request in sent), strict=True)
    assert len({json.loads(content)["ack_id"] for content in contents}) == len(sent)
    assert all(f"Content-Length: {len(body)}\r\n".encode() in head for head, body in zip(heads, contents, strict=True))


@pytest.mark.parametrize("burst", [1, 4])
def test_the_open_loop_sends_at_the_rate_asked_for(burst: int) -> None:
    moments = caller.schedule(500, 20, burst)
    assert len(moments) == pytest.approx(10_000, rel=0.05)
    assert moments == sorted(moments)
    assert moments[-1] < 20


def test_samples_are_counted_once_for_every_function_on_the_stack() -> None:
    own, below, total = profile.folded(["a (x.py:1);b (x.py:2);b (x.py:9) 3", "a (x.py:4) 1", "no sample"])
    assert (own, below, total) == ({"b (x.py)": 3, "a (x.py)": 1}, {"a (x.py)": 4, "b (x.py)": 3}, 4)


def test_settings_are_read_from_lines_for_a_shell() -> None:
    assert service.exported("export A='x y'\nexport B=a=b\n") == {"A": "x y", "B": "a=b"}


def test_the_open_loop_holds_no_more_idle_connections_than_allowed(tmp_path: Path) -> None:
    # A service that answers each push on one thread a connection, after a moment, with a line as Go's encoder writes.
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        given = f"--port {port} --rate 1 --seconds 1 --idle 2 --run {'r' * 14} --bodies"
        options = caller.parser().parse_args([*given.split(), str(bodies.write(tmp_path, "apns"))])
        calling = caller.Caller(options)
        calling.run([0.0] * 6)
        assert (calling.answered, calling.ok, calling.opened, len(calling.open)) == (6, 6, 6, 2)
        calling.run([0.0] * 2)
        assert calling.opened == 6
        assert min(calling.waits) >= 0.05
    finally:
        server.kill()
        server.wait()


SERVER = """
import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.1)
        self.send_response(200)
        self.send_header("Content-Length", "16")
        self.end_headers()
        self.wfile.write(b'{"status":"OK"}\\n')
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_signed_pushes_go_out_as_they_are_and_their_signatures_are_true(tmp_path: Path) -> None:
    home, path = Installation(), tmp_path / "apns.jsonl"
    signed.write(path, home, "apns", 3, signed=True)
    stream = caller.requests(path, "/t/key", "")
    sent = [json.loads(next(stream).partition(b"\r\n\r\n")[2]) for _ in range(3)]
    assert len({push["ack_id"] for push in sent}) == 3
    for push in sent:
        read = signatures.read(push["signature"], push["ack_id"], push["device_id"])
        assert signatures.verify(home.public_key, read)
    signed.write(path, home, "apns", 1, signed=False)
    (plain,) = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert (plain["server_id"], plain["signature"], len(plain["ack_id"])) == (home.diagnostic_id, "", 26)
