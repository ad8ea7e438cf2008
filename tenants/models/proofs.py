"""Who servers are: the documents of their sites, the keys that their pushes are signed with, and what was found."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from tenants.fence import Paths, TenantModel
from tenants.models.servers import Server, ServerKey


class Site(TenantModel):
    """The public documents of a server's site, as they were read last; `fetched_at` is empty before the first time.

    Pasted ones are somebody's word, but for the public key: only the site itself can sign with its private half.
    """

    class How(models.TextChoices):
        """How the documents came."""

        FETCHED = "fetched", "Fetched"
        PASTED = "pasted", "Pasted"

    paths = Paths("server__customer_id")

    server = models.OneToOneField(Server, on_delete=models.PROTECT, related_name="site")
    address = models.CharField(
        max_length=300, blank=True, help_text="Where it is fetched, without https://; empty: it is not."
    )
    how = models.CharField(max_length=8, choices=How)
    mattermost_id = models.CharField(max_length=64, blank=True, help_text="DiagnosticId: the server_id of its pushes.")
    public_key = models.CharField(max_length=400, blank=True, help_text="Its pushes are signed with the private half.")
    site_url = models.CharField(max_length=300, blank=True)
    version = models.CharField(max_length=40, blank=True)
    licensed = models.BooleanField(default=False)
    trial = models.BooleanField(default=False)
    sku = models.CharField(max_length=40, blank=True)
    company = models.CharField(max_length=200, blank=True)
    users = models.PositiveIntegerField(null=True, blank=True)
    fetched_at = models.DateTimeField(null=True, blank=True, help_text="When the documents were read last.")
    asked_at = models.DateTimeField(null=True, blank=True, help_text="When the site was asked last.")
    problem = models.CharField(max_length=300, blank=True, help_text="Why it could not be read then; empty: it was.")
    due_at = models.DateTimeField(null=True, blank=True, help_text="When it is fetched again; empty: never by itself.")

    class Meta:
        indexes = (
            models.Index(fields=("due_at",), name="tenants_site_due"),
            models.Index(fields=("mattermost_id",), name="tenants_site_id"),
        )
        constraints = (models.CheckConstraint(condition=Q(how__in=("fetched", "pasted")), name="tenants_site_how"),)

    def __str__(self) -> str:
        return self.address or self.site_url or f"the site of {self.server}"


class Proof(TenantModel):
    """The signatures of the pushes that come with one key and one server_id: by which public key they verify.

    `proven_at` is empty as long as they do not; `waiting` holds what a signature is verified by, digest and signature,
    of a push whose signing key is not known yet. No token can be read from it.
    """

    class How(models.TextChoices):
        """Where the public key is from."""

        FETCHED = "fetched", "The site, which we fetched"
        PASTED = "pasted", "Documents that were pasted"
        RECOVERED = "recovered", "Two of its pushes: trusted on first use"
        SAME_KEY = "same_key", "The same server under an earlier server ID"

    class Last(models.TextChoices):
        """What was found of the last push that was looked at."""

        VERIFIED = "verified", "verified"
        UNSIGNED = "unsigned", "carries no signature"
        BAD = "bad", "has a signature of another push, or none that can be read"
        OTHER = "other", "is signed with another key"
        REPLAYED = "replayed", "repeats the signature of another customer's push"
        WAITING = "waiting", "is signed with a key that is not known yet"

    paths = Paths("key__server__customer_id")

    key = models.ForeignKey(ServerKey, on_delete=models.PROTECT, related_name="proofs")
    mattermost_id = models.CharField(max_length=64)
    public_key = models.CharField(max_length=400, blank=True)
    how = models.CharField(max_length=10, choices=How, blank=True)
    proven_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")
    last = models.CharField(max_length=10, choices=Last)
    last_at = models.DateTimeField(help_text="To the minute.")
    waiting = models.BinaryField(max_length=96, null=True)
    tries = models.PositiveSmallIntegerField(default=0, help_text="Pushes that a key could not be recovered from.")

    class Meta:
        ordering = ("key", "-last_at")
        verbose_name, verbose_name_plural = "proof of a server", "proofs of servers"
        indexes = (models.Index(fields=("mattermost_id",), name="tenants_proof_id"),)
        constraints = (
            models.UniqueConstraint(fields=("key", "mattermost_id"), name="tenants_proof_once"),
            models.CheckConstraint(
                condition=Q(proven_at__isnull=True) | (~Q(public_key="") & ~Q(how="")), name="tenants_proof_has_key"
            ),
        )

    def __str__(self) -> str:
        return f"{self.key} with {self.mattermost_id}"

    @staticmethod
    def standing() -> Q:
        """The condition that a proof counts. What only a key's own pushes said ends with it: it may have leaked."""
        return Q(proven_at__isnull=False) & ~Q(how=Proof.How.RECOVERED, key__revoked_at__isnull=False)


class Finding(TenantModel):
    """What signatures and sites tell that somebody has to look at. `other`: the other server_id, site or key."""

    class Kind(models.TextChoices):
        """What was found."""

        CHANGED_KEY = "changed_key", "Signing key changed"
        LEAKED_KEY = "leaked_key", "Key used by another installation"
        RESTORED_BACKUP = "restored_backup", "Same installation under another server ID"
        CLONE = "clone", "Same installation at another site"
        REPLAYED = "replayed", "Signature of another customer's push"
        CONTESTED = "contested", "Server ID proven by two customers"
        OTHER_ID = "other_id", "The site has another server ID than before"

    paths = Paths("server__customer_id")

    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="findings")
    key = models.ForeignKey(ServerKey, on_delete=models.PROTECT, null=True, blank=True, related_name="findings")
    kind = models.CharField(max_length=16, choices=Kind)
    mattermost_id = models.CharField(max_length=64)
    other = models.CharField(max_length=300, blank=True)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True, blank=True, help_text="When it was told by e-mail.")
    settled_at = models.DateTimeField(null=True, blank=True, help_text="When it was found to be over.")

    # What staff look into, beside the customer: of all others the customer alone knows what is right.
    FOR_STAFF_ALONE: ClassVar[tuple[str, ...]] = ("replayed",)

    class Meta:
        ordering = ("-last_at",)
        constraints = (
            models.UniqueConstraint(fields=("server", "kind", "mattermost_id", "other"), name="tenants_finding_once"),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.server}"
