"""Customers, and what each is entitled to."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from tenants.fence import Paths, TenantModel


class Customer(TenantModel):
    """Somebody who has an agreement with the operator. Suspended: every push is refused, nothing is deleted."""

    class Status(models.TextChoices):
        """Whether the customer is served."""

        ACTIVE = "active"
        SUSPENDED = "suspended"

    class Offer(models.TextChoices):
        """hpns: the operator's apps; eas: apps of their own; tpns: the free test service."""

        HPNS = "hpns", "HPNS"
        EAS = "eas", "EAS"
        TPNS = "tpns", "TPNS"

    class Content(models.TextChoices):
        """What of a push's text is handed to Apple and Google."""

        AS_SENT = "as_sent", "As the server sends it"
        GENERIC = "generic", "A general text only"
        ID_ONLY = "id_only", "No text: the app fetches it from the server"

    paths = Paths("id", user="memberships.user_id", digest="invitations.digest")

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=64, unique=True, help_text="The name in commands and addresses.")
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    offer = models.CharField(max_length=8, choices=Offer)
    content = models.CharField(max_length=8, choices=Content, default=Content.AS_SENT)
    contacts = ArrayField(
        models.EmailField(),
        default=list,
        blank=True,
        size=20,
        help_text="Who gets e-mail about credentials that expire or are refused.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    canary = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="The service's own, which pushes every minute to see whether pushes go: in nobody else's figures.",
    )

    class Meta:
        ordering = ("slug",)
        constraints = (
            models.UniqueConstraint(fields=("canary",), condition=Q(canary=True), name="tenants_customer_one_canary"),
            models.CheckConstraint(condition=Q(status__in=("active", "suspended")), name="tenants_customer_status"),
            models.CheckConstraint(condition=Q(offer__in=("hpns", "eas", "tpns")), name="tenants_customer_offer"),
            models.CheckConstraint(
                condition=Q(content__in=("as_sent", "generic", "id_only")), name="tenants_customer_content"
            ),
            models.CheckConstraint(condition=Q(slug__regex=r"^[a-z0-9][a-z0-9-]*$"), name="tenants_customer_slug"),
            models.CheckConstraint(condition=~Q(name=""), name="tenants_customer_name"),
        )

    def __str__(self) -> str:
        return self.name


class Entitlement(TenantModel):
    """What billing has decided and the path of a push must know. No row means: not entitled to push.

    A rate is in pushes a second, a burst is how many may come at once after a quiet time, and in_flight is how many may
    wait for their answer at a time; empty means no limit. Those of a server hold for each of the customer's servers.
    """

    paths = Paths("customer_id")

    customer = models.OneToOneField(Customer, on_delete=models.PROTECT, related_name="entitlement")
    active = models.BooleanField(default=True, help_text="Off: every push of the customer is refused.")
    may_use_shared = models.BooleanField(default=False, help_text="May push to the operator's own apps.")
    tls_required = models.BooleanField(default=True, help_text="Off: keys are taken over plain HTTP from anywhere.")
    may_use_server_id = models.BooleanField(
        default=False, help_text="Servers whose address cannot be changed may push by their server_id alone."
    )
    rate = models.PositiveIntegerField(null=True, blank=True)
    burst = models.PositiveIntegerField(null=True, blank=True)
    in_flight = models.PositiveIntegerField(null=True, blank=True)
    server_rate = models.PositiveIntegerField(null=True, blank=True)
    server_burst = models.PositiveIntegerField(null=True, blank=True)
    server_in_flight = models.PositiveIntegerField(null=True, blank=True)
    server_quota = models.PositiveIntegerField(
        null=True, blank=True, default=200, db_default=200, help_text="Servers that it may have."
    )
    key_quota = models.PositiveIntegerField(
        null=True, blank=True, default=1000, db_default=1000, help_text="Keys in use that it may have; as many a day."
    )
    app_quota = models.PositiveIntegerField(
        null=True, blank=True, default=50, db_default=50, help_text="Enabled apps that it may have; as many a day."
    )
    refusal = models.CharField(
        max_length=32,
        blank=True,
        help_text="The code that pushes are refused with, wipes and acks excepted; empty: they are served.",
    )
    may_grow = models.BooleanField(default=True, help_text="Off: no new servers, keys and apps.")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("customer",)
        constraints = (
            # A rate without a burst would let nothing through, and the reverse everything.
            models.CheckConstraint(
                condition=Q(rate=None, burst=None)
                | Q(rate__gt=0, burst__gt=0, rate__isnull=False, burst__isnull=False),
                name="tenants_entitlement_rate",
            ),
            models.CheckConstraint(
                condition=Q(server_rate=None, server_burst=None)
                | Q(server_rate__gt=0, server_burst__gt=0, server_rate__isnull=False, server_burst__isnull=False),
                name="tenants_entitlement_server_rate",
            ),
        )

    def __str__(self) -> str:
        return f"entitlement of {self.customer}"
