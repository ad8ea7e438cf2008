"""The delivery log: one row per authenticated push, written once, never changed.

The table is partitioned by day of acceptance (see migrations/0001_delivery_log.py and log/partitions.py); rows leave it
by dropping partitions. It holds no message text and no device token, only a keyed fingerprint of the token.
"""

from django.db import models

from tenants.fence import Paths, TenantModel
from tenants.models import Customer, PushApp, Server, ServerKey


class Delivery(TenantModel):
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
    ack_id = models.TextField()
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
