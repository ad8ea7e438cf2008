"""Scripts, the faults below HTTP, the listener's modes, and the connection under load."""

import json
import socket
import ssl
import time
from typing import Any

import h2.events
import pycurl
import pytest

from delivery.sandbox import behaviours, certificates
from tests.delivery.sandbox.client import DEVICE, FCM_DEVICE, Frames, Pusher
from tests.sandbox_fixture import SandboxClient

OK, TIMED_OUT, NO_CONNECTION, BAD_CERTIFICATE, STREAM_ERROR = 200, 28, 7, 60, 92


def test_a_script_answers_in_order_and_its_last_answer_repeats(sandbox: SandboxClient, push: Pusher) -> None:
    sandbox.script(DEVICE[:16], [{"status": 503, "json": {"reason": "Shutdown"}}, {"status": 429}, {"status": 200}])
    assert [push.apns().status for _ in range(4)] == [503, 429, OK, OK]
    assert push.apns("b2" * 32).status == OK


def test_the_longest_marker_wins_and_a_star_speaks_for_the_rest(sandbox: SandboxClient, push: Pusher) -> None:
    sandbox.scripts({"a1a1": [{"status": 501}], "a1a1a1": [{"status": 502}], "*": [{"status": 503}]})
    assert [push.apns(device).status for device in (DEVICE, "a1a1" + "0" * 60, "c3" * 32)] == [502, 501, 503]
    assert push.fcm().status == 503


def test_a_script_comes_before_the_checks_which_are_noted_all_the_same(sandbox: SandboxClient, push: Pusher) -> None:
    sandbox.script("odd", {"status": 200, "no_apns_id": True})
    answer = push.apns("odd%41;x", apns_topic="com.example.other")
    assert (answer.status, "apns-id" in answer.headers) == (OK, False)
    [request] = sandbox.requests("odd")
    assert request["by"] == "script"
    assert request["check"].startswith("400 TopicDisallowed")


def test_a_scripted_answer_has_the_headers_and_the_body_that_were_asked_for(
    sandbox: SandboxClient, push: Pusher
) -> None:
    sandbox.script(
        FCM_DEVICE, {"status": 301, "headers": {"location": "/elsewhere", "retry-after": "9"}, "body": "<p>"}
    )
    answer = push.fcm()
    assert (answer.status, answer.body, answer.headers["location"]) == (301, b"<p>", "/elsewhere")
    assert answer.headers["content-type"] == "text/html"


def test_a_large_scripted_body_comes_whole_through_a_small_window(sandbox: SandboxClient, push: Pusher) -> None:
    sandbox.script(DEVICE, {"status": 400, "body": "x" * 300_000})
    frames = Frames(sandbox, window=1000)
    frames.send(DEVICE, push)
    received = 0
    while True:
        events = frames.until(h2.events.DataReceived)
        for event in events:
            if isinstance(event, h2.events.DataReceived):
                received += len(event.data)
                frames.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        frames.flush()
        if any(isinstance(event, h2.events.StreamEnded) for event in events) or not events:
            break
    frames.close()
    assert received == 300_000


@pytest.mark.parametrize("code", [0, 2, 7, 8])
def test_a_reset_stream_carries_its_code(sandbox: SandboxClient, push: Pusher, code: int) -> None:
    sandbox.script(DEVICE, {"reset": code})
    frames = Frames(sandbox)
    frames.send(DEVICE, push)
    assert frames.until(h2.events.StreamReset)[-1].error_code == code
    frames.close()


def test_going_away_disowns_the_request_but_not_the_one_before(sandbox: SandboxClient, push: Pusher) -> None:
    sandbox.scripts({"b2b2": [{"status": 200, "delay": 0.2}], "c3c3": [{"goaway": 11}]})
    frames = Frames(sandbox)
    first = frames.send("b2" * 32, push)
    frames.send("c3" * 32, push)
    farewell = frames.until(h2.events.ConnectionTerminated)[-1]
    assert (farewell.error_code, farewell.last_stream_id) == (11, first)
    # the client library ends its whole state on GOAWAY, so the late answer is looked for in the bytes
    assert frames.rest().count(b"\x00\x00\x00\x01") == 1
    frames.close()


def test_a_cut_answer_breaks_off_in_its_body(sandbox: SandboxClient, push: Pusher) -> None:
    sandbox.script(DEVICE, {"status": 400, "json": {"reason": "BadTopic"}, "cut": True})
    answer = push.apns()
    assert (answer.status, answer.error) == (400, STREAM_ERROR)
    assert 0 < len(answer.body) < len('{"reason":"BadTopic"}')


def test_a_closed_connection_and_silence_bring_no_answer(sandbox: SandboxClient, push: Pusher) -> None:
    sandbox.scripts({"b2b2": [{"close": True}], "c3c3": [{"hang": True}]})
    assert push.apns("b2" * 32).error not in (0, TIMED_OUT)
    headers = [f"authorization: bearer {push.token}", "apns-topic: com.mattermost.rn"]
    assert push.post("/3/device/" + "c3" * 32, b'{"aps":{}}', headers, timeout=0.3).error == TIMED_OUT


def test_a_delayed_answer_comes_when_it_should(sandbox: SandboxClient, push: Pusher) -> None:
    sandbox.script(DEVICE, {"status": 200, "delay": 0.3})
    started = time.monotonic()
    assert push.apns().status == OK
    assert 0.3 <= time.monotonic() - started < 20


@pytest.mark.parametrize("fault", [{"reset": 7}, {"goaway": 0}, {"close": True}, {"status": 200, "cut": True}])
def test_over_http_1_every_fault_ends_the_connection(
    sandbox: SandboxClient, push: Pusher, fault: dict[str, Any]
) -> None:
    sandbox.script(FCM_DEVICE, fault)
    body = json.dumps({"message": {"token": FCM_DEVICE, "data": {}}}).encode()
    path, headers = "/v1/projects/demo-project/messages:send", [f"authorization: Bearer {push.bearer}"]
    assert push.post(path, body, headers, http=pycurl.CURL_HTTP_VERSION_1_1).error != 0


@pytest.mark.parametrize("row", behaviours.TABLE, ids=lambda row: row.name)
def test_every_row_of_the_table_is_reached_by_its_markers(row: behaviours.Behaviour) -> None:
    if row.apns_marker:
        assert behaviours.of_apns((row.apns_marker + "0" * 64)[:64]) is row
    if row.fcm_marker:
        assert behaviours.of_fcm(row.fcm_marker + "APA91b") is row
    assert row.apns_marker or row.fcm_marker


def test_an_ordinary_token_is_in_no_row() -> None:
    assert behaviours.of_apns("dead" + "0" * 60) is None
    assert behaviours.of_fcm(FCM_DEVICE) is None


def test_the_port_can_be_down_silent_and_untrusted_and_come_back(sandbox: SandboxClient, push: Pusher) -> None:
    path, headers = f"/3/device/{DEVICE}", [f"authorization: bearer {push.token}", "apns-topic: com.mattermost.rn"]
    for mode, error in (("down", NO_CONNECTION), ("silent", TIMED_OUT), ("wrong_certificate", BAD_CERTIFICATE)):
        sandbox.mode(mode)
        assert push.post(path, b'{"aps":{}}', headers, timeout=0.5).error == error
    assert sandbox.requests() == []
    sandbox.mode("up")
    assert push.apns().status == OK


def test_a_renewed_certificate_is_shown_once_the_port_comes_up_again(sandbox: SandboxClient, push: Pusher) -> None:
    def shown() -> str:
        return ssl.get_server_certificate(("localhost", sandbox.port), ca_certs=sandbox.ca_file)

    before = shown()
    certificates.renew(sandbox.folder)
    assert shown() == before
    sandbox.mode("up")
    assert shown() != before
    assert push.apns().status == OK


def test_a_change_of_mode_drops_the_connections_that_were_open(sandbox: SandboxClient, push: Pusher) -> None:
    frames = Frames(sandbox)
    frames.send(DEVICE, push)
    frames.until(h2.events.StreamEnded)
    sandbox.mode("silent")
    assert frames.ended(), "the connection is open when the next mode has begun"
    try:
        assert frames.rest() == b""
    except ConnectionResetError:
        pass  # the other way in which an end without a word shows
    frames.close()


def test_a_thousand_streams_are_answered_on_one_connection_while_others_hang(
    sandbox: SandboxClient, push: Pusher
) -> None:
    sandbox.script("c3c3", {"hang": True})
    frames = Frames(sandbox)
    for _ in range(20):
        frames.send("c3" * 32, push, b'{"aps":"' + b"x" * 3000 + b'"}')
    answered = 0
    for at in range(1, 1001):
        frames.send(f"{at:064x}", push)
        while at % 100 == 0 and answered < at:
            answered += sum(isinstance(event, h2.events.StreamEnded) for event in frames.until(h2.events.StreamEnded))
    assert answered == 1000
    assert sandbox.state()["connections_open"] == 1
    frames.close()
    until = time.monotonic() + 30
    while sandbox.state()["connections_open"] and time.monotonic() < until:
        time.sleep(0.01)
    assert sandbox.state()["connections_open"] == 0


def test_a_body_larger_than_both_windows_is_read_to_its_end(sandbox: SandboxClient, push: Pusher) -> None:
    answer = push.apns(body=b"x" * 6_000_000)
    assert (answer.status, answer.reason) == (413, "PayloadTooLarge")
    [request] = sandbox.requests()
    assert (request["size"], len(request["body"])) == (6_000_000, 65_536)


def test_an_upload_that_is_given_up_is_not_counted(sandbox: SandboxClient, push: Pusher) -> None:
    frames = Frames(sandbox)
    stream = frames.send(DEVICE, push, end=False)
    frames.h2.reset_stream(stream)
    frames.send("b2" * 32, push)
    frames.until(h2.events.StreamEnded)
    frames.close()
    assert [request["token"] for request in sandbox.requests()] == ["b2" * 32]


def test_a_request_that_is_given_up_as_it_ends_harms_no_other(sandbox: SandboxClient, push: Pusher) -> None:
    frames = Frames(sandbox)
    stream = frames.send(DEVICE, push, end=False)
    frames.h2.end_stream(stream)
    frames.h2.reset_stream(stream)
    other = frames.send("b2" * 32, push)
    answered = [event for event in frames.until(h2.events.StreamEnded) if isinstance(event, h2.events.StreamEnded)]
    frames.close()
    assert [event.stream_id for event in answered] == [other]


def test_what_is_no_http_2_ends_its_connection_and_no_other(sandbox: SandboxClient, push: Pusher) -> None:
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=30) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert plain.recv(1000)[:1] in (b"", b"\x15")  # nothing, or a TLS alert
    assert push.apns().status == OK


def test_it_announces_what_apple_does(sandbox: SandboxClient) -> None:
    announced = Frames(sandbox).h2.remote_settings
    assert (announced.max_concurrent_streams, announced.initial_window_size) == (1000, 65_535)
    assert (announced.header_table_size, announced.max_frame_size, announced.max_header_list_size) == (
        4096,
        16_384,
        8000,
    )


def test_its_windows_can_be_set_and_held_back(sandbox: SandboxClient, push: Pusher) -> None:
    sandbox.settings(windows={"stream": 70_000, "connection": 100_000, "delay": 0.2})
    frames = Frames(sandbox)
    assert frames.h2.remote_settings.initial_window_size == 70_000
    while frames.h2.outbound_flow_control_window < 100_000:
        frames.until(h2.events.WindowUpdated)
    began = time.monotonic()
    for _ in range(6):
        frames.send(DEVICE, push, b"x" * 10_000)
    frames.until(h2.events.WindowUpdated)
    assert time.monotonic() - began >= 0.2
    with pytest.raises(AssertionError, match="400"):
        sandbox.settings(windows={"connection": 10})
