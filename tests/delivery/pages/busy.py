"""A customer whose pushes of the last day make a page worth looking at, for tests of the delivery's pages."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from delivery.models import Receipt
from delivery.outcomes import judge
from delivery.outcomes.verdict import Verdict
from delivery.providers import table
from delivery.rollups import rebuilding
from delivery.rollups.reading import HOUR, floor
from tenants.models import PushApp, Server
from tests.browsing import Tenant
from tests.delivery.rollups import pushes
from tests.delivery.rollups.pushes import SENT, write

KEY_REFUSED = table.verdict_of("apns_invalid_provider_token")
GONE = table.verdict_of("apns_unregistered")
TIMEOUT = table.verdict_of("transport_timeout_unanswered")
IPHONE, ANDROID = {"platform": "apple_rn-v2"}, {"platform": "android_rn-v2"}


class Pushes:
    """Writes pushes of one customer into the log, and counts them into the rollups when it is told to."""

    def __init__(self, acme: Tenant, now: datetime | None = None) -> None:
        """`now`: what the ages of pushes are counted from."""
        self.acme, self.now = acme, now or timezone.now()
        self.oldest, self.written = self.now, 0

    def write(self, minutes_ago: float, verdict: Verdict | None, *, acked: float | None = None, **more: Any) -> None:
        """A push of some minutes ago; acked: after how many seconds a phone acknowledged it."""
        assert verdict is not None
        # The log has milliseconds, and receipts name a push by its very time.
        at = self.now - timedelta(minutes=minutes_ago)
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
        self.oldest, self.written = min(self.oldest, at), self.written + 1
        trace = f"{self.written:012x}-{self.acme.customer.pk:x}"
        of: dict[str, Any] = {"customer": self.acme.customer.pk, "server": self.acme.server.pk, "app": None}
        ack_id = f"{self.written:026d}" if acked is not None else ""
        write(trace, (at - pushes.HOUR).total_seconds(), verdict, **{**of, "ack_id": ack_id, **more})
        if acked is not None:
            Receipt.objects.create(
                id=trace,
                received_at=at + timedelta(seconds=acked),
                customer_id=self.acme.customer.pk,
                server_id=self.acme.server.pk,
                ack_id=ack_id,
                type="message",
                platform="ios",
                trace=trace,
                push_at=at,
            )

    def count(self) -> None:
        """Count what was written."""
        rebuilding.rebuild(floor(self.oldest, HOUR), floor(self.now, HOUR) + HOUR)


def busy(acme: Tenant) -> Pushes:
    """Two days: Apple refuses the key since an hour and a half ago, some devices are gone, one timed out, one has no
    app; two servers and two apps, one with a name from right to left."""
    second = Server.objects.create(customer=acme.customer, name="خادم الدردشة")
    own = [
        PushApp.objects.create(customer=acme.customer, label="apple_acme", topic="x", family="apns", host="production")
    ]
    own += [PushApp.objects.create(customer=acme.customer, label="android_acme", topic="x", family="fcm")]
    made = Pushes(acme)
    for step in range(1, 2 * 24 * 6):
        age, night = step * 10 - 5, 0.2 if 40 < step % 144 < 90 else 1
        volume = int((step * 7919 % 13 + 30) * night) + 1
        ended = 0.12 + (step * 31 % 17) / 60
        made.write(age, SENT, **IPHONE, app=own[0].pk, count=volume, ended=ended, device_id=f"i{step}")
        made.write(age, SENT, **ANDROID, app=own[1].pk, count=volume // 2 + 1, ended=ended * 2, server=second.pk)
        made.write(age + 1, SENT, **IPHONE, app=own[0].pk, acked=1 + step % 5, type="clear" if step % 3 else "message")
        if step % 30 == 0:
            made.write(age, GONE, **IPHONE, app=own[0].pk, device_id=f"g{step}")
    for age in range(1, 90, 8):
        made.write(age, KEY_REFUSED, **IPHONE, app=own[0].pk, device_id=f"k{age}")
    made.write(400, TIMEOUT, **ANDROID, app=own[1].pk, ended=4.0)
    made.write(700, judge.refusal("no_app"), platform="apple_beta-v2")
    made.count()
    return made
