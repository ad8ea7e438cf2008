"""What two phones would show of the pushes they were sent: an iPhone and an Android phone, as Mattermost's apps do it.

Sources: the apps' own handling of the payload (iOS: PushKit and the notification service; Android: the data message).
Invariants: whatever a push contains, it becomes text of bounded length and count; pushes are looked at only when
somebody looks at the page, so that the page costs a load test nothing.
"""

import time
from collections import deque
from typing import Any

import msgspec

from delivery.sandbox.answers import Answer
from delivery.sandbox.fcm import is_validate_only
from delivery.sandbox.journal import Entry, Journal

MOST_SHOWN = 60
MOST_SILENT = 6
MOST_TEXT = 1000
MOST_AT_ONCE = 500
CALL_RINGS = 45.0
APP_NAMES = {
    "com.mattermost.rn": "Mattermost",
    "com.mattermost.rnbeta": "Mattermost Beta",
    "com.mattermost.Mattermost": "Mattermost Classic",
}


class Shown(msgspec.Struct):
    """A notification on a screen. at: unix seconds; thread: what groups it; key: what a later one replaces it by."""

    number: int
    at: float
    app: str
    title: str
    body: str
    kind: str
    thread: str
    key: str
    device: str
    marks: tuple[str, ...] = ()


class Silent(msgspec.Struct):
    """A push that the app sees and the person does not."""

    number: int
    at: float
    kind: str
    text: str


class Phone:
    """One phone's screen. badges: by app, what its icon shows."""

    def __init__(self, name: str) -> None:
        """name: iPhone or Android phone."""
        self.name = name
        self.shown: deque[Shown] = deque(maxlen=MOST_SHOWN)
        self.silent: deque[Silent] = deque(maxlen=MOST_SILENT)
        self.badges: dict[str, int] = {}
        self.call: Shown | None = None
        self.total = 0

    def groups(self) -> list[list[Shown]]:
        """The notifications by thread, the newest group and the newest in it first."""
        groups: dict[tuple[str, str, str], list[Shown]] = {}
        for one in reversed(self.shown):
            thread = one.thread or f"#{one.number}"
            groups.setdefault((one.device, one.app, thread), []).append(one)
        return list(groups.values())

    def show(self, one: Shown) -> None:
        """Puts a notification on top, in the place of the one it replaces."""
        if one.key:
            self.remove(lambda old: old.key == one.key and old.device == one.device)
        self.shown.append(one)

    def remove(self, which: Any) -> int:
        """Removes the notifications for which `which` is true; returns how many."""
        kept = [one for one in self.shown if not which(one)]
        count = len(self.shown) - len(kept)
        self.shown = deque(kept, maxlen=MOST_SHOWN)
        return count

    def ringing(self, now: float) -> Shown | None:
        """The call that rings now; one that rang long enough becomes a missed call among the notifications."""
        call = self.call
        if call is not None and now - call.at > CALL_RINGS:
            self.call = None
            self.show(msgspec.structs.replace(call, title=f"Missed call from {call.title}"))
        return self.call


class Phones:
    """Both phones, brought up to date from the journal."""

    def __init__(self, journal: Journal) -> None:
        """journal: what the sandbox was sent."""
        self._journal = journal
        self._since = 0
        self._empty()

    def clear(self) -> None:
        """Empties both screens; what was received stays in the journal."""
        self._since = self._journal.last
        self._empty()

    def _empty(self) -> None:
        self._cleared_at = self._journal.cleared_at
        self.iphone, self.android = Phone("iPhone"), Phone("Android phone")

    def update(self) -> None:
        """Takes what came since the last time; of a flood, the end."""
        if self._cleared_at != self._journal.cleared_at:
            self._empty()
        new = self._journal.find(since=self._since, most=len(self._journal.entries))
        for entry in new[-MOST_AT_ONCE:]:
            if delivered(entry.answer) and entry.provider in ("apns", "fcm"):
                if entry.provider == "fcm" and is_validate_only(entry.request.body):
                    continue
                data = entry.data()
                take = self._to_iphone if entry.provider == "apns" else self._to_android
                take(entry, data if isinstance(data, dict) else {})
        self._since = self._journal.last
        for phone in (self.iphone, self.android):
            phone.ringing(time.time())

    def _to_iphone(self, entry: Entry, data: dict[str, Any]) -> None:
        phone, headers = self.iphone, entry.request.headers
        phone.total += 1
        aps = data.get("aps")
        aps = aps if isinstance(aps, dict) else {}
        alert = aps.get("alert")
        alert = alert if isinstance(alert, dict) else {"body": alert}
        topic = headers.get("apns-topic", "").removesuffix(".voip")
        badge = aps.get("badge")
        one = Shown(
            number=entry.number,
            at=entry.request.at,
            app=APP_NAMES.get(topic, topic or "App"),
            title=_text(alert.get("title")),
            body=_text(alert.get("body")),
            kind=_text(data.get("type")) or "alert",
            thread=_text(aps.get("thread-id")),
            key=headers.get("apns-collapse-id", ""),
            device=entry.token,
            marks=_marks(data.get("id_loaded") is True, data, aps.get("category")),
        )
        if isinstance(badge, int) and not isinstance(badge, bool):
            phone.badges[one.app] = badge
        if headers.get("apns-push-type") == "voip":
            one.title, one.body = _text(data.get("sender_name")) or "Unknown caller", _text(data.get("channel_name"))
            one.kind, one.thread = "voip", ""
            phone.call = one
        elif one.kind == "clear":
            _clear(phone, one, "" if badge is None else f"; badge {badge}")
        elif one.kind == "update_badge":
            _silent(phone, one, "Badge left as it was" if badge is None else f"Badge set to {badge}")
        elif one.title or one.body:
            phone.show(one)
        else:
            _silent(phone, one, _UNSEEN.get(one.kind, "Wakes the app; nothing is shown"))

    def _to_android(self, entry: Entry, body: dict[str, Any]) -> None:
        phone = self.android
        phone.total += 1
        message = body.get("message")
        data = message.get("data") if isinstance(message, dict) else None
        data = data if isinstance(data, dict) else {}
        channel, root = _text(data.get("channel_id")), _text(data.get("root_id"))
        post = _text(data.get("post_id"))
        one = Shown(
            number=entry.number,
            at=entry.request.at,
            app="Mattermost",
            title=_text(data.get("channel_name")) or _text(data.get("sender_name")),
            body=_text(data.get("message")),
            kind=_text(data.get("type")) or "data",
            thread=root if root and data.get("is_crt_enabled") == "true" else channel,
            key=post or channel,
            device=entry.token,
            marks=_marks(data.get("id_loaded") == "true", data, data.get("category")),
        )
        if one.kind == "clear":
            _clear(phone, one, "")
        elif one.kind == "update_badge":
            sent = _text(data.get("badge")) or "none"
            _silent(phone, one, f"Badge {sent} was sent; Mattermost's Android app counts for itself")
        elif one.kind in ("message", "session") and one.body:
            phone.show(one)
        else:
            _silent(phone, one, _UNSEEN.get(one.kind, "Wakes the app; nothing is shown"))
        phone.badges[one.app] = len(phone.shown)


_UNSEEN = {
    "test": "Shows the server that pushes arrive; nothing is shown here",
    "session": "The server ended the session; the app forgets its data",
}


def delivered(answer: Answer) -> bool:
    """Whether the phone got the push: the provider said yes, and said it whole."""
    fault = answer.hang or answer.close or answer.cut or answer.reset is not None or answer.goaway is not None
    return answer.status == 200 and not fault


def _clear(phone: Phone, one: Shown, more: str) -> None:
    count = phone.remove(lambda old: old.device == one.device and bool(one.thread) and old.thread == one.thread)
    what = "notification" if count == 1 else "notifications"
    _silent(phone, one, f"Removed {count or 'no'} {what} of thread {short(one.thread) or 'none'}{more}")


def _silent(phone: Phone, one: Shown, text: str) -> None:
    phone.silent.append(Silent(one.number, one.at, one.kind, text))


def _marks(id_loaded: bool, data: dict[str, Any], category: object) -> tuple[str, ...]:
    marks = []
    if id_loaded:
        marks.append("id-loaded: the app fetches the text")
    if data.get("sub_type") == "calls":
        marks.append("call")
    if category == "CAN_REPLY":
        marks.append("can reply")
    return tuple(marks)


def short(text: str, most: int = 14) -> str:
    """A long id's beginning, for where the whole would not fit."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _text(value: object) -> str:
    return value[:MOST_TEXT] if isinstance(value, str) else ""
