"""What the status page and the SLA's minutes are made of: the canary, maintenance and incidents; and who is mailed.

None of it is a customer's: these tables have no tenant, every page may read them, and staff alone write them in the
admin (hpns/database_roles.py).
"""

from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

PAGES: Final = "pages"
"""The canary's probe of the pages, in the place of a provider's family."""


class CanaryMinute(models.Model):
    """What came of the canary's push of a minute to one provider, or of its look at the pages. A minute without a row
    is one in which nobody looked: missing."""

    class Whose(models.TextChoices):
        """Whose fault a bad one is, as the delivery log says of pushes."""

        OURS = "ours"
        PROVIDER = "provider"
        CUSTOMER = "customer"
        DEVICE = "device"

    at = models.DateTimeField(help_text="When the minute begins (UTC).")
    family = models.CharField(max_length=16, help_text="The provider's family, or pages.")
    good = models.BooleanField()
    why = models.CharField(max_length=100, blank=True, help_text="Of a bad one: a code, or what happened on the way.")
    whose = models.CharField(max_length=8, choices=Whose, blank=True, help_text="Of a bad one: whose fault it is.")
    ms = models.IntegerField(help_text="Until the answer, or until there was none any more.")
    ack_id = models.CharField(max_length=26, blank=True, help_text="By which the delivery log knows its push.")
    settled = models.BooleanField(default=True, help_text="Off: the delivery log has not been asked about it yet.")

    class Meta:
        ordering = ("-at", "family")
        verbose_name = "canary minute"
        constraints = (models.UniqueConstraint(fields=("at", "family"), name="billing_canary_minute_once"),)
        indexes = (models.Index(fields=("at",), condition=Q(settled=False), name="billing_canary_unsettled"),)

    def __str__(self) -> str:
        return f"{self.family} at {self.at:%Y-%m-%d %H:%M}: {'good' if self.good else self.why}"


class StatusDay(models.Model):
    """The minutes of one day (UTC) that is over, of one component of the status page."""

    day = models.DateField()
    component = models.CharField(max_length=24)
    good = models.IntegerField()
    bad = models.IntegerField()
    unknown = models.IntegerField(help_text="Of which nobody knows: before the first canary.")

    class Meta:
        ordering = ("-day", "component")
        constraints = (models.UniqueConstraint(fields=("day", "component"), name="billing_status_day_once"),)

    def __str__(self) -> str:
        return f"{self.component} on {self.day}"


class Announcement(models.Model):
    """What both kinds of announcements have: a draft until `published_at`, which staff see alone."""

    title = models.CharField(max_length=160)
    components = ArrayField(models.CharField(max_length=24), help_text="What of the service is concerned.")
    published_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.title


class MaintenanceWindow(Announcement):
    """Announced maintenance. Its times are fixed once it is published: another time is another announcement."""

    text = models.TextField(max_length=4000, help_text="What is done, and what people will notice.")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    cancelled_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("-starts_at",)
        verbose_name = "maintenance window"
        constraints = (models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="billing_window_order"),)


class Incident(Announcement):
    """Something that went wrong. It is resolved when `resolved_at` is set."""

    class Impact(models.TextChoices):
        """How bad it is."""

        SLOW = "slow", "Slower than usual"
        PARTLY = "partly", "Some pushes or pages fail"
        DOWN = "down", "Nothing goes"

    impact = models.CharField(max_length=8, choices=Impact)
    started_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-started_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(resolved_at=None) | Q(resolved_at__gte=F("started_at")), name="billing_incident_order"
            ),
        )


class IncidentUpdate(models.Model):
    """What was said of an incident, and when; a draft until it is published."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="updates")
    at = models.DateTimeField()
    text = models.TextField(max_length=4000)
    published_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}"


class Subscriber(models.Model):
    """Who gets mails of the status page: an address whose owner has confirmed it. Nothing else is kept of anybody."""

    email = models.EmailField(unique=True)
    confirmed_at = models.DateTimeField()

    class Meta:
        ordering = ("email",)

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        """As Django's; the address in small letters, so that it is there once."""
        self.email = self.email.lower()
        super().save(*args, **kwargs)


class Notice(models.Model):
    """A mail that is to be sent to one address: it goes once it was sent, and after some days in any case."""

    class Kind(models.TextChoices):
        """What it tells of."""

        WINDOW = "window"
        CANCELLED = "cancelled"
        INCIDENT = "incident"

    email = models.EmailField()
    kind = models.CharField(max_length=9, choices=Kind)
    subject_id = models.BigIntegerField(help_text="The maintenance window's, or the incident's.")
    subscriber = models.BooleanField(help_text="Whether it may be unsubscribed from.")
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="Not before.")
    tries = models.IntegerField(default=0)

    class Meta:
        ordering = ("due_at", "id")
        indexes = (models.Index(fields=("due_at",), name="billing_notice_due"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_id}"
