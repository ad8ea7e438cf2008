"""Usage by calendar month (UTC): the running month as it was counted last, closed months and their corrections, the
mails about quotas, and the limits that came of them.

Closed months and corrections are only added: no role of the running service may change them, and a trigger keeps the
owner of the tables from it, too (migrations/0004_usage.py).
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from tenants.fence import Paths, TenantModel
from tenants.models import Customer


class UsageFigures(models.Model):
    """What was used in a month. by_server: [{"server": its id, "pushes": n, "devices": n}]; by_day: for each day of the
    month that has begun."""

    pushes = models.BigIntegerField(help_text="Billable: no tests, nothing that was refused.")
    devices = models.BigIntegerField(help_text="Active ones, counted once for each server that reached them.")
    phones = models.BigIntegerField(help_text="Active ones, counted once.")
    servers = models.IntegerField(help_text="Different proven server_ids; without any those that were seen.")
    seats = models.IntegerField(null=True, blank=True, help_text="Users of the licence.")
    by_server = models.JSONField(default=list)
    by_day = ArrayField(models.BigIntegerField(), default=list, help_text="Pushes.")
    devices_by_day = ArrayField(models.BigIntegerField(), default=list)

    class Meta:
        abstract = True


class Included(models.Model):
    """What the agreement included at that time; empty is no bound. percent: the highest share of any."""

    included_pushes = models.BigIntegerField(null=True, blank=True)
    included_devices = models.BigIntegerField(null=True, blank=True)
    included_servers = models.IntegerField(null=True, blank=True)
    percent = models.IntegerField(null=True, blank=True, help_text="Of what is included, the highest share.")

    class Meta:
        abstract = True


class UsageMonth(TenantModel, UsageFigures, Included):
    """A closed month, as it was counted two days after its end. Never changed: see UsageCorrection."""

    paths = Paths("customer_id")

    customer = models.ForeignKey(Customer, models.PROTECT, related_name="+")
    month = models.DateField(help_text="Its first day.")
    closed_at = models.DateTimeField()

    class Meta:
        ordering = ("-month", "customer_id")
        verbose_name = "usage of a closed month"
        verbose_name_plural = "usage of closed months"
        constraints = (models.UniqueConstraint(fields=("customer", "month"), name="billing_usagemonth_once"),)

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class UsageCorrection(TenantModel, UsageFigures):
    """A closed month counted once more, with another result: the figures as they are, and the two before them."""

    paths = Paths("customer_id")

    customer = models.ForeignKey(Customer, models.PROTECT, related_name="+")
    month = models.DateField(help_text="Its first day.")
    at = models.DateTimeField()
    pushes_before = models.BigIntegerField()
    devices_before = models.BigIntegerField()
    reason = models.TextField()

    class Meta:
        ordering = ("-at", "-id")
        verbose_name = "correction of a closed month"
        verbose_name_plural = "corrections of closed months"
        indexes = (models.Index(fields=("customer", "month"), name="billing_usagecorrection_month"),)

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}, {self.at:%Y-%m-%d}"


class UsageRunning(TenantModel, UsageFigures, Included):
    """The month that runs, as it was counted last: for lists of all customers and for the banner."""

    paths = Paths("customer_id")

    customer = models.OneToOneField(Customer, models.PROTECT, related_name="+")
    month = models.DateField(help_text="Its first day.")
    at = models.DateTimeField(help_text="When it was counted.")
    # So that a page reads the hours of the last days alone.
    settled_until = models.DateField(null=True, help_text="The days before it are in settled_by_server.")
    settled_by_server = models.JSONField(default=list, help_text="Pushes of those days: pairs of server and count.")

    class Meta:
        ordering = (models.F("percent").desc(nulls_last=True), "-pushes", "customer_id")
        verbose_name = "usage of the running month"
        verbose_name_plural = "usage of the running month"

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class UsageNotice(TenantModel):
    """A mail about a quota that was sent (billing/usage/quotas.py): once for each month, measure and step."""

    paths = Paths("customer_id")

    customer = models.ForeignKey(Customer, models.PROTECT, related_name="+")
    month = models.DateField(help_text="Its first day.")
    measure = models.CharField(max_length=16)
    step = models.CharField(max_length=16)
    at = models.DateTimeField()

    class Meta:
        ordering = ("-at",)
        constraints = (
            models.UniqueConstraint(fields=("customer", "month", "measure", "step"), name="billing_usagenotice_once"),
        )

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} {self.measure} {self.step}"


class UsageLimit(TenantModel):
    """Limits that are in force, or were (ended_at), because more was used than is included; with what was before."""

    paths = Paths("customer_id")

    customer = models.ForeignKey(Customer, models.PROTECT, related_name="+")
    month = models.DateField(help_text="Its first day.")
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    rate = models.IntegerField(help_text="Pushes a second, as lowered.")
    burst = models.IntegerField()
    rate_before = models.IntegerField(null=True, blank=True)
    burst_before = models.IntegerField(null=True, blank=True)

    class Meta:
        ordering = ("-began_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("customer",), condition=models.Q(ended_at=None), name="billing_usagelimit_one_in_force"
            ),
        )

    def __str__(self) -> str:
        return f"{self.rate} a second since {self.began_at:%Y-%m-%d}"
