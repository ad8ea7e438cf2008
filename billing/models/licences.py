"""Licences that customers have proven, or that staff vouch for, and what came up that staff have to decide.

The file is not kept: what it says, and its SHA-256. A row's words are never rewritten (a trigger, see the migration):
what has changed is another row. Written by billing/licences/proving.py, vouching.py and cases.py alone.
"""

from typing import Final

from django.db import models
from django.db.models import F, Q

from billing.licences import file
from tenants.fence import Paths, TenantModel
from tenants.models import Customer, Server

ONCE: Final = "billing_licence_proof_once"


class LicenceTerms(TenantModel):
    """What is kept of a licence (abstract)."""

    paths = Paths("customer_id")

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="%(class)ss")
    server = models.ForeignKey(
        Server,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="%(class)ss",
        help_text="The one server that it is used for; empty: not said yet.",
    )
    issuer = models.CharField(max_length=64, blank=True, help_text="Whose key its signature is good by.")
    licence_id = models.CharField(max_length=file.ID_LENGTH, blank=True, verbose_name="licence id")
    company = models.CharField(max_length=file.TEXT_MAX, blank=True)
    sku = models.CharField(max_length=64, blank=True, verbose_name="plan", help_text="The short name in the licence.")
    users = models.PositiveIntegerField(default=0)
    push_limit = models.BigIntegerField(null=True, blank=True, help_text="Pushes a month, where the licence says so.")
    is_trial = models.BooleanField(default=False, verbose_name="trial")
    issued_at = models.DateTimeField(null=True, blank=True)
    starts_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    digest = models.CharField(max_length=64, blank=True, verbose_name="SHA-256 of the file")

    class Meta:
        abstract = True
        base_manager_name = "objects"


class LicenceProof(LicenceTerms):
    """A licence that a customer has proven by its file, or that staff vouch for: for one server, and by one customer.

    It counts from starts_at to expires_at, unless it has ended before (withdrawn, replaced, ended by staff).
    """

    vouched = models.BooleanField(default=False, help_text="Staff answer for it: no file has proven it.")
    reason = models.CharField(max_length=300, blank=True, help_text="Why staff vouch for it; the customer sees it.")
    site_agreed_at = models.DateTimeField(
        null=True, blank=True, help_text="When the server itself said the same of its licence; empty: it has not yet."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=300, blank=True)

    class Meta(LicenceTerms.Meta):
        abstract = False
        ordering = ("-created_at", "-id")
        verbose_name = "licence"
        indexes = (models.Index(fields=("customer", "expires_at"), name="billing_licence_by_customer"),)
        constraints = (
            models.UniqueConstraint(
                fields=("issuer", "licence_id"), condition=Q(ended_at=None) & ~Q(licence_id=""), name=ONCE
            ),
            models.CheckConstraint(
                condition=Q(vouched=True) & ~Q(reason="")
                | Q(vouched=False) & ~Q(issuer="") & ~Q(licence_id="") & ~Q(digest=""),
                name="billing_licence_proven_or_vouched",
            ),
            models.CheckConstraint(condition=Q(expires_at__gt=F("starts_at")), name="billing_licence_dates"),
        )

    def __str__(self) -> str:
        return self.licence_id or f"vouched for ({self.sku})"


class LicenceCase(LicenceTerms):
    """Something that staff have to decide: a licence that a second account has sent, or one of an unknown plan."""

    class Kind(models.TextChoices):
        """What has come up."""

        DOUBLE_USE = "double_use", "In use by another account"
        UNKNOWN_PLAN = "unknown_plan", "A plan that is not known"

    class Resolution(models.TextChoices):
        """What staff have decided."""

        KEPT = "kept", "It stays with the other account"
        MOVED = "moved", "It is this account's from now on"
        CLOSED = "closed", "Nothing was changed"

    kind = models.CharField(max_length=16, choices=Kind)
    attempts = models.PositiveIntegerField(default=1, help_text="How often the customer has sent it.")
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=8, choices=Resolution, blank=True)
    note = models.CharField(max_length=300, blank=True, help_text="The customer sees it.")

    class Meta(LicenceTerms.Meta):
        abstract = False
        ordering = ("-last_at",)
        verbose_name = "licence case"
        constraints = (
            models.UniqueConstraint(
                fields=("customer", "issuer", "licence_id", "kind"),
                condition=Q(resolved_at=None),
                name="billing_licence_case_once",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.licence_id}"
