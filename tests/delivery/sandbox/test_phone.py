"""What the two phones make of the pushes they are sent."""

import time
from typing import Any

import msgspec

from delivery.sandbox.answers import Answer
from delivery.sandbox.journal import Journal, Request
from delivery.sandbox.phone import CALL_RINGS, MOST_SHOWN, Phones


class PhoneSimulator:
    """A journal that is fed by hand, with the phones that read it."""

    def __init__(self) -> None:
        """Begins empty."""
        self.journal = Journal()
        self.phones = Phones(self.journal)

    def apple(
        self, aps: object, *, answer: Answer | None = None, topic: str = "com.mattermost.rn", **data: Any
    ) -> None:
        headers = {"apns-topic": topic, "apns-push-type": data.pop("push_type", "alert")}
        headers["apns-collapse-id"] = data.pop("collapse", "")
        self._push("apns", data.pop("device", "d1"), headers, {"aps": aps, "type": "message"} | data, answer)

    def google(self, **data: Any) -> None:
        validate_only = data.pop("validate_only", False)
        message = {"message": {"token": "t1", "data": {"type": "message"} | data}, "validate_only": validate_only}
        self._push("fcm", "t1", {}, message, None)

    def _push(self, provider: str, token: str, headers: dict[str, str], body: object, answer: Answer | None) -> None:
        request = Request(list(headers.items()), method="POST", host="h", path="/", http="2", connection=1, stream=1)
        request.add(msgspec.json.encode(body))
        self.journal.add(provider, token, request, answer or Answer(), by="success")
        self.phones.update()

    @property
    def iphone(self) -> list[tuple[str, str]]:
        return [(one.title, one.body) for one in self.phones.iphone.shown]

    @property
    def android(self) -> list[tuple[str, str]]:
        return [(one.title, one.body) for one in self.phones.android.shown]


def alert(title: str, body: str, thread: str = "", badge: int | None = None) -> dict[str, Any]:
    aps: dict[str, Any] = {"alert": {"title": title, "body": body}, "thread-id": thread}
    return aps if badge is None else aps | {"badge": badge}


def test_an_alert_is_shown_with_its_badge_and_thread() -> None:
    simulator = PhoneSimulator()
    simulator.apple(alert("Town Square", "alice: hi", "c1", 3), category="x")
    [one] = simulator.phones.iphone.shown
    assert (one.title, one.body, one.thread, one.kind) == ("Town Square", "alice: hi", "c1", "message")
    assert simulator.phones.iphone.badges == {"Mattermost": 3}


def test_an_alert_may_be_one_text() -> None:
    simulator = PhoneSimulator()
    simulator.apple({"alert": "Session Expired"}, type="session")
    assert simulator.iphone == [("", "Session Expired")]


def test_a_thread_is_one_group_with_the_newest_first() -> None:
    simulator = PhoneSimulator()
    for body, thread in (("1", "a"), ("2", "b"), ("3", "a"), ("4", ""), ("5", "")):
        simulator.apple(alert("", body, thread))
    assert [[one.body for one in group] for group in simulator.phones.iphone.groups()] == [
        ["5"],
        ["4"],
        ["3", "1"],
        ["2"],
    ]


def test_the_same_collapse_id_replaces_and_another_does_not() -> None:
    simulator = PhoneSimulator()
    for body, collapse in (("first", "k"), ("other", "m"), ("second", "k")):
        simulator.apple(alert("", body), collapse=collapse)
    assert [body for _, body in simulator.iphone] == ["other", "second"]


def test_clear_removes_its_thread_on_its_device_and_says_so() -> None:
    simulator = PhoneSimulator()
    simulator.apple(alert("", "1", "c1"))
    simulator.apple(alert("", "2", "c2"))
    simulator.apple(alert("", "3", "c1"), device="d2")
    simulator.apple({"badge": 1, "thread-id": "c1"}, type="clear")
    assert [body for _, body in simulator.iphone] == ["2", "3"]
    assert simulator.phones.iphone.silent[-1].text == "Removed 1 notification of thread c1; badge 1"
    simulator.apple({"badge": 1, "thread-id": ""}, type="clear")
    assert len(simulator.iphone) == 2


def test_update_badge_changes_the_badge_and_shows_nothing() -> None:
    simulator = PhoneSimulator()
    simulator.apple({"badge": 7}, type="update_badge")
    assert (simulator.iphone, simulator.phones.iphone.badges) == ([], {"Mattermost": 7})
    assert simulator.phones.iphone.silent[-1].text == "Badge set to 7"


def test_test_pushes_and_empty_alerts_are_silent() -> None:
    simulator = PhoneSimulator()
    simulator.apple({"content-available": 1}, type="test")
    simulator.apple({"alert": "", "content-available": 1}, type="session")
    assert simulator.iphone == []
    assert [one.kind for one in simulator.phones.iphone.silent] == ["test", "session"]


def test_id_loaded_is_marked() -> None:
    simulator = PhoneSimulator()
    simulator.apple(alert("", "You've received a new message."), id_loaded=True)
    simulator.google(id_loaded="true", message="You've received a new message.", post_id="p")
    for phone in (simulator.phones.iphone, simulator.phones.android):
        assert any(mark.startswith("id-loaded") for mark in phone.shown[-1].marks)


def test_a_call_rings_and_becomes_a_missed_call() -> None:
    simulator = PhoneSimulator()
    simulator.apple({}, push_type="voip", topic="com.mattermost.rn.voip", sender_name="Dana", channel_name="Team")
    phone = simulator.phones.iphone
    ringing = phone.ringing(time.time())
    assert ringing is not None
    assert (ringing.title, ringing.body, ringing.app, simulator.iphone) == ("Dana", "Team", "Mattermost", [])
    assert phone.ringing(time.time() + CALL_RINGS + 1) is None
    assert simulator.iphone == [("Missed call from Dana", "Team")]


def test_the_apps_have_badges_of_their_own() -> None:
    simulator = PhoneSimulator()
    simulator.apple(alert("", "x", badge=2))
    simulator.apple(alert("", "x", badge=5), topic="com.mattermost.rnbeta")
    assert simulator.phones.iphone.badges == {"Mattermost": 2, "Mattermost Beta": 5}


def test_android_shows_messages_and_counts_them_itself() -> None:
    simulator = PhoneSimulator()
    simulator.google(channel_name="Town Square", message="alice: hi", post_id="p1", channel_id="c1", badge="9")
    simulator.google(channel_name="Town Square", message="bob: hi", post_id="p2", channel_id="c1")
    assert simulator.android == [("Town Square", "alice: hi"), ("Town Square", "bob: hi")]
    assert simulator.phones.android.badges == {"Mattermost": 2}
    simulator.google(type="clear", channel_id="c1")
    assert simulator.phones.android.badges == {"Mattermost": 0}


def test_the_same_post_replaces_itself_on_android() -> None:
    simulator = PhoneSimulator()
    for text in ("first", "edited"):
        simulator.google(message=text, post_id="p1")
    assert [body for _, body in simulator.android] == ["edited"]


def test_android_says_that_it_does_not_read_the_badge() -> None:
    simulator = PhoneSimulator()
    simulator.google(type="update_badge", badge="4")
    simulator.google(type="session", message="")
    assert [one.text.partition(";")[0] for one in simulator.phones.android.silent] == [
        "Badge 4 was sent",
        "The server ended the session",
    ]


def test_what_was_not_delivered_is_not_shown() -> None:
    simulator = PhoneSimulator()
    for answer in (Answer(status=410), Answer(reset=7), Answer(hang=True), Answer(cut=True), Answer(goaway=0)):
        simulator.apple(alert("", "x"), answer=answer)
    assert simulator.phones.iphone.total == 0
    simulator.apple(alert("", "x"), answer=Answer(delay=1))
    assert simulator.phones.iphone.total == 1


def test_any_body_at_all_is_survived() -> None:
    simulator = PhoneSimulator()
    for aps in (None, 1, [], "x", {"alert": 5}, {"alert": {"title": [], "body": {}}}, {"badge": True}, {"badge": "3"}):
        simulator.apple(aps, type=aps, thread_id=3)
    for data in (None, 1, [], {"message": 5}, {"type": {}}):
        simulator._push("fcm", "t", {}, {"message": {"data": data}}, None)
        simulator._push("fcm", "t", {}, data, None)
    assert simulator.iphone == []
    assert simulator.phones.iphone.badges == {}


def test_the_screens_are_bounded_and_can_be_emptied() -> None:
    simulator = PhoneSimulator()
    for at in range(MOST_SHOWN + 5):
        simulator.apple(alert("", str(at)))
    assert len(simulator.iphone) == MOST_SHOWN
    simulator.phones.clear()
    assert simulator.iphone == []
    simulator.apple(alert("", "after"))
    assert simulator.iphone == [("", "after")]


def test_clearing_the_journal_empties_the_phones_and_loses_nothing_new() -> None:
    simulator = PhoneSimulator()
    simulator.apple(alert("", "before"))
    simulator.journal.clear()
    simulator.apple(alert("", "after"))
    assert simulator.iphone == [("", "after")]


def test_a_message_that_was_only_asked_about_is_on_no_screen() -> None:
    simulator = PhoneSimulator()
    simulator.google(message="asked", validate_only=True)
    assert simulator.android == []
    simulator.google(message="sent")
    assert len(simulator.android) == 1
