"""The delivery log: one row per authenticated push, written once (and corrected by log/told.py, log/reattributing.py).

The table is partitioned by day of acceptance (see migrations/0001_delivery_log.py and log/partitions.py); rows leave it
by dropping partitions. It holds no message text and no device token, only a keyed fingerprint of the token.
"""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from delivery.protocol import mattermost_id
from tenants.fence import LookedUpModel, Paths, TenantModel
from tenants.models import Customer, PushApp, Server, ServerKey


class MattermostIdField(models.Field):  # type: ignore[type-arg]  # Django's own is not subscriptable
    """An id of Mattermost's as text, packed in the database (delivery/protocol/mattermost_id.py); "" is NULL there."""

    def db_type(self, connection: Any) -> str:
        """The type of the column."""
        return "bytea"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> str:
        """The text."""
        return mattermost_id.unpack(None if value is None else bytes(value))

    def get_prep_value(self, value: Any) -> bytes | None:
        """The packed text."""
        return mattermost_id.pack(value) if isinstance(value, str) else value

    def to_python(self, value: Any) -> str:
        """The text, as forms and fixtures have it."""
        return value if isinstance(value, str) else mattermost_id.unpack(value)


class Delivery(LookedUpModel):
    """What became of one push. `code`, `answer` and `attribution` are the words of delivery/outcomes/verdict.py.

    The references are kept without constraints: checking them would cost the log as much again as writing it, and a
    row outlives what it speaks of.
    """

    paths = Paths("customer_id")

    trace = models.CharField(max_length=40, primary_key=True)
    accepted_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    customer = models.ForeignKey(Customer, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    server = models.ForeignKey(Server, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    key = models.ForeignKey(
        ServerKey, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    app = models.ForeignKey(
        PushApp, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    platform = models.TextField(help_text="As the server sent it, such as apple_rn-v2.")
    type = models.TextField()
    sub_type = models.TextField()
    ack_id = MattermostIdField(help_text="By which the phone acknowledges it.")
    post_id = MattermostIdField(help_text="The post that it tells of.")
    mattermost_id = models.TextField(help_text="The server_id that the push carries.")
    device = models.TextField(help_text="A keyed fingerprint of the device token.")
    size = models.IntegerField(help_text="Bytes of the push as it came in.")
    outcome = models.TextField()
    code = models.TextField()
    answer = models.TextField(help_text="What the server was told, or would have been told in time.")
    attribution = models.TextField()
    counts = models.BooleanField(help_text="Whether this is a valid event of the SLA.")
    attempts = models.JSONField(help_text="Per attempt: at, host, status, reason, ms.")
    count = models.IntegerField(default=1, help_text="How many pushes this row stands for: refused floods share one.")

    class Meta:
        managed = False
        db_table = "delivery_delivery"
        ordering = ("-accepted_at",)
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return self.trace


class Receipt(LookedUpModel):
    """What a phone has acknowledged: that it was woken by a push, through its server.

    `trace` and `push_at` (its accepted_at) name the push, once its row is found; `repeated` says that the same push had
    been acknowledged before. Partitioned by day of `received_at`.
    """

    paths = Paths("customer_id")

    id = models.CharField(max_length=40, primary_key=True)
    received_at = models.DateTimeField(help_text="When it came to us.")
    customer = models.ForeignKey(Customer, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    server = models.ForeignKey(Server, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    ack_id = MattermostIdField()
    type = models.TextField()
    platform = models.TextField(help_text="ios or android.")
    phone_at = models.DateTimeField(null=True, help_text="When the phone got the push, by its own clock.")
    trace = models.TextField(null=True)  # noqa: DJ001  NULL: not known yet
    push_at = models.DateTimeField(null=True)
    repeated = models.BooleanField(default=False)

    class Meta:
        managed = False
        db_table = "delivery_receipt"
        ordering = ("-received_at",)

    def __str__(self) -> str:
        return self.id


class Counts(models.Model):
    """What rollups of every kind count: how many pushes, how many of them a phone acknowledged, and both latencies.

    `at` is when the minute, hour or day begins, by accepted_at, in UTC. Several rows may stand for the same: they add
    up. Histograms are packed (delivery/rollups/buckets.py): `handoff` from acceptance to the end, `receipt` from
    acceptance to the phone's receipt.
    """

    at = models.DateTimeField(primary_key=True)
    family = models.TextField(help_text="apns, fcm, or other where the platform names neither.")
    outcome = models.TextField()
    code = models.TextField()
    attribution = models.TextField()
    counts = models.BooleanField(help_text="Whether these are valid events of the SLA.")
    pushes = models.BigIntegerField()
    acked = models.BigIntegerField()
    handoff = ArrayField(models.BigIntegerField())
    receipt = ArrayField(models.BigIntegerField())

    class Meta:
        abstract = True
        managed = False

    def __str__(self) -> str:
        return f"{self.pushes} {self.code} at {self.at:%Y-%m-%d %H:%M}"


class Grain(models.IntegerChoices):
    """What the rows of a rollup tell apart. Each push is counted once in each grain: never add two of them up."""

    DETAIL = 0, "by server, app and type"
    CUSTOMER = 1, "of the whole customer"


class CustomerCounts(TenantModel, Counts):
    """Counts of one customer. In the grain CUSTOMER server and app are 0 and the type is ""."""

    paths = Paths("customer_id")

    customer = models.ForeignKey(Customer, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    grain = models.SmallIntegerField(choices=Grain.choices)
    server_id = models.BigIntegerField()
    app_id = models.BigIntegerField(help_text="0: no app was found for the push.")
    type = models.TextField(help_text="As Mattermost names it; other: anything else.")

    class Meta:
        abstract = True
        managed = False


class Minute(CustomerCounts):
    """Counts of a customer's pushes per minute. To read: a view, of what is merged and what has come since."""

    class Meta:
        managed = False
        db_table = "delivery_minute_now"


class Hour(CustomerCounts):
    """Counts of a customer's pushes per hour. To read, as Minute."""

    class Meta:
        managed = False
        db_table = "delivery_hour_now"


class Day(CustomerCounts):
    """Counts of a customer's pushes per day of UTC. To read, as Minute."""

    class Meta:
        managed = False
        db_table = "delivery_day_now"


class ServiceMinute(Counts):
    """Counts of all customers' pushes together per minute; nobody is recognisable, so every page may read them."""

    class Meta:
        managed = False
        db_table = "delivery_service_minute"


class ServiceHour(Counts):
    """Counts of all customers' pushes together per hour."""

    class Meta:
        managed = False
        db_table = "delivery_service_hour"


class Device(TenantModel):
    """A phone (the fingerprint of its token) as one server reached it through one app: what became of its pushes.

    All times are those at which a push was accepted, each the latest of its kind but for `first_at`; they only grow, so
    that reading rows of the log twice changes nothing (delivery/devices/).
    """

    paths = Paths("customer_id")

    id = models.BigIntegerField(primary_key=True)
    customer = models.ForeignKey(Customer, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    device = models.TextField(help_text="A keyed fingerprint of the device token.")
    server_id = models.BigIntegerField()
    app_id = models.BigIntegerField(help_text="0: no app was found.")
    family = models.TextField(help_text="apns, fcm, or other where the platform names neither.")
    first_at = models.DateTimeField(help_text="Of the first push that named it.")
    last_at = models.DateTimeField(help_text="Of the last push that named it.")
    sent_at = models.DateTimeField(null=True, help_text="Of the last push that a provider took.")
    acked_at = models.DateTimeField(null=True, help_text="Of the last push that the phone acknowledged.")
    session_at = models.DateTimeField(null=True, help_text="Of the last push that said that its session had ended.")
    removed_at = models.DateTimeField(null=True, help_text="Of the last push that was answered with REMOVE.")
    removed_code = models.TextField(help_text="Why.")
    failed_at = models.DateTimeField(null=True, help_text="Of the last push that came to nothing otherwise.")
    failed_code = models.TextField(help_text="Why.")

    class Meta:
        managed = False
        db_table = "delivery_device"
        ordering = ("-last_at",)

    def __str__(self) -> str:
        return self.device

    @property
    def is_removed(self) -> bool:
        """Whether the provider's last word is that the app is gone from it."""
        return self.removed_at is not None and (self.sent_at is None or self.sent_at < self.removed_at)


class ActiveDevice(TenantModel):
    """A device that a server has reached in a month: `days` has bit n - 1 set where it was on the nth day (UTC)."""

    paths = Paths("customer_id")

    id = models.BigIntegerField(primary_key=True)
    month = models.DateField(help_text="Its first day.")
    customer = models.ForeignKey(Customer, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    server_id = models.BigIntegerField()
    device = models.TextField(help_text="A keyed fingerprint of the device token.")
    days = models.IntegerField()

    class Meta:
        managed = False
        db_table = "delivery_active_device"

    def __str__(self) -> str:
        return f"{self.device} in {self.month:%Y-%m}"


class DeviceCount(TenantModel):
    """How many devices a server (0: the whole customer) has reached in a month, and on each of its 31 days."""

    paths = Paths("customer_id")

    id = models.BigIntegerField(primary_key=True)
    month = models.DateField(help_text="Its first day.")
    customer = models.ForeignKey(Customer, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    server_id = models.BigIntegerField()
    devices = models.BigIntegerField()
    by_day = ArrayField(models.BigIntegerField())

    class Meta:
        managed = False
        db_table = "delivery_device_count"

    def __str__(self) -> str:
        return f"{self.devices} devices in {self.month:%Y-%m}"


class PlatformSighting(TenantModel):
    """Since when a server sends for a platform (delivery/devices/platforms.py)."""

    paths = Paths("customer_id")

    id = models.BigIntegerField(primary_key=True)
    customer = models.ForeignKey(Customer, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    server_id = models.BigIntegerField()
    platform = models.TextField(help_text="As the server sends it, such as apple_rn-v2.")
    first_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "delivery_platform_sighting"
        ordering = ("first_at",)

    def __str__(self) -> str:
        return self.platform
