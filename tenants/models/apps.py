"""The mobile apps that can be signed for, and the credentials they are signed with."""

from functools import reduce
from operator import or_

from django.db import models
from django.db.models import Q
from django.utils import timezone

from tenants.fence import Paths, TenantModel
from tenants.models.customers import Customer
from tenants.providers import table
from tenants.providers.base import Provider
from tenants.providers.table import FAMILY_OF_KIND, PROVIDERS


def _host_fits(provider: Provider) -> Q:
    """An app of this provider names one of its hosts, if it has several, and else none."""
    if provider.hosts:
        return Q(family=provider.family, host__in=provider.hosts)
    return Q(family=provider.family, host="")


def _labels_fit() -> Q:
    """A label that begins as one provider's platforms do is of no other's app."""
    fit = Q()
    for provider in PROVIDERS.values():
        for other in PROVIDERS.values():
            if other is not provider:
                fit &= ~Q(label__startswith=provider.platform, family=other.family)
    return fit


class PushApp(TenantModel):
    """A mobile app that can be signed for: a customer's own, or (without a customer) shared by the operator.

    A push finds it by the label at the head of its platform ("apple_rn" of "apple_rn-v2"). `topic` is Apple's bundle
    id, or Android's package name (the Firebase project stands in the credential). Only an enabled app is found.
    """

    paths = Paths("customer_id")

    customer = models.ForeignKey(Customer, null=True, blank=True, on_delete=models.PROTECT, related_name="apps")
    label = models.CharField(max_length=64, help_text="The head of a push's platform, such as apple_rn.")
    family = models.CharField(max_length=8, choices=table.families)
    topic = models.CharField(max_length=255, help_text="Bundle id, or Android package name.")
    host = models.CharField(max_length=16, choices=table.hosts, blank=True, help_text="Apple only.")
    is_default = models.BooleanField(default=False, help_text="Takes pushes of its family that no label matches.")
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when it is gone from its customer's pages."
    )

    class Meta:
        ordering = ("customer", "label")
        verbose_name = "app"
        constraints = (
            models.UniqueConstraint(
                fields=("customer", "label"),
                condition=Q(enabled=True, customer__isnull=False),
                name="tenants_app_own_label",
            ),
            models.UniqueConstraint(
                fields=("label",), condition=Q(enabled=True, customer__isnull=True), name="tenants_app_shared_label"
            ),
            models.UniqueConstraint(
                fields=("customer", "family"),
                condition=Q(enabled=True, is_default=True, customer__isnull=False),
                name="tenants_app_own_default",
            ),
            models.UniqueConstraint(
                fields=("family",),
                condition=Q(enabled=True, is_default=True, customer__isnull=True),
                name="tenants_app_shared_default",
            ),
            # A push's platform is cut at its first "-v", so a label with "-v" in it would never be found.
            models.CheckConstraint(
                condition=Q(label__regex=r"^[A-Za-z0-9_.-]+$") & ~Q(label__contains="-v"), name="tenants_app_label"
            ),
            models.CheckConstraint(
                condition=reduce(or_, map(_host_fits, PROVIDERS.values())),
                name="tenants_app_family_host",
            ),
            models.CheckConstraint(
                condition=_labels_fit(),
                name="tenants_app_label_family",
            ),
            models.CheckConstraint(
                condition=Q(removed_at=None) | Q(enabled=False), name="tenants_app_removed_is_disabled"
            ),
            models.CheckConstraint(condition=Q(topic__regex=r"^[A-Za-z0-9_.-]+$"), name="tenants_app_topic"),
        )

    def __str__(self) -> str:
        return f"{self.label} ({self.customer.name if self.customer else 'shared'})"


class Credential(TenantModel):
    """A key that an app's pushes are signed with, sealed. `current` is in use, `next` waits to take its place.

    A credential is never edited: another secret is another row, so that an id always means one secret.
    """

    class Slot(models.TextChoices):
        """Whether pushes are signed with it."""

        CURRENT = "current"
        NEXT = "next"

    paths = Paths("app__customer_id")

    app = models.ForeignKey(PushApp, on_delete=models.PROTECT, related_name="credentials")
    slot = models.CharField(max_length=8, choices=Slot, default=Slot.CURRENT)
    kind = models.CharField(max_length=16, choices=table.kinds)
    sealed = models.TextField(editable=False)
    key_id = models.CharField(max_length=200, help_text="Tells this key from others; not a secret.")
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    signs_since = models.DateTimeField(
        default=timezone.now, editable=False, help_text="When it began to sign for its app as the app is now."
    )
    checked_at = models.DateTimeField(null=True, blank=True, help_text="When the provider was last asked about it.")
    check_code = models.CharField(max_length=64, blank=True, help_text="What the provider said; good is ok.")
    refused_at = models.DateTimeField(null=True, blank=True, help_text="Since when the provider refuses the key.")
    refused_code = models.CharField(max_length=64, blank=True)
    warned_days = models.PositiveSmallIntegerField(
        null=True, blank=True, editable=False, help_text="Of which of the days before its end was written."
    )

    class Meta:
        ordering = ("app", "slot")
        constraints = (
            # Looked at when a statement is done, so that the two can change places in one.
            models.UniqueConstraint(
                fields=("app", "slot"), deferrable=models.Deferrable.IMMEDIATE, name="tenants_credential_one_per_slot"
            ),
            models.CheckConstraint(condition=Q(slot__in=("current", "next")), name="tenants_credential_slot"),
            models.CheckConstraint(condition=Q(kind__in=tuple(FAMILY_OF_KIND)), name="tenants_credential_kind"),
            # A secret that somebody wrote into the table as it is must not stay there unnoticed.
            models.CheckConstraint(condition=Q(sealed__startswith="v1:"), name="tenants_credential_sealed"),
        )

    def __str__(self) -> str:
        return f"{self.key_id} ({self.slot}, {self.app})"
