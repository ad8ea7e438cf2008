"""The audit log: who did what, when. Rows are added and never changed; the database refuses anything else."""

from django.db import models

from tenants.fence import Paths, TenantModel
from tenants.models.audit_words import description


class AuditEvent(TenantModel):
    """One act. It points at nothing by a foreign key, because it outlives what it speaks of.

    `action` is noun.verb, such as key.revoke, and has its words in audit_words.py; `target` names the thing as people
    know it, without a secret; `details` holds what changed, as text, without a secret.
    """

    class Kind(models.TextChoices):
        """Kinds of actors."""

        MEMBER = "member"
        STAFF = "staff"
        COMMAND = "command"
        SERVICE = "service"

    paths = Paths("customer_id")

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    customer_id = models.BigIntegerField(null=True, help_text="Empty: an act that concerns the operator alone.")
    actor_kind = models.CharField(max_length=8, choices=Kind)
    actor_id = models.BigIntegerField(null=True, help_text="The user's id.")
    actor = models.CharField(max_length=254, help_text="The person's e-mail address, or the name of the command.")
    address = models.GenericIPAddressField(null=True, help_text="Where the request came from.")
    action = models.CharField(max_length=64)
    target = models.CharField(max_length=300, blank=True)
    target_id = models.BigIntegerField(null=True)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ("-at", "-id")
        indexes = (models.Index(fields=("customer_id", "-at"), name="tenants_audit_by_customer"),)

    def __str__(self) -> str:
        return f"{self.what}: {self.target}"

    @property
    def what(self) -> str:
        """The action in words."""
        return description(self.action)

    @property
    def given_details(self) -> list[tuple[str, object]]:
        """The details with a value, by name: what was given as nothing is left out."""
        return [(name, value) for name, value in self.details.items() if value not in (None, "")]
