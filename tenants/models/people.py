"""Memberships of people in customers with their roles, and the invitations that lead to them."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from tenants.fence import Paths, TenantModel
from tenants.models.customers import Customer


class Role(models.TextChoices):
    """Roles of members; permissions.py says action by action what each may do."""

    OWNER = "owner"
    ADMIN = "admin"
    VIEWER = "viewer"


class Membership(TenantModel):
    """One person's place in one customer."""

    paths = Paths("customer_id", user="user_id")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=8, choices=Role)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("customer", "user")
        constraints = (
            models.UniqueConstraint(fields=("user", "customer"), name="tenants_membership_once"),
            models.CheckConstraint(condition=Q(role__in=("owner", "admin", "viewer")), name="tenants_membership_role"),
        )

    def __str__(self) -> str:
        return f"{self.user} ({self.role} of {self.customer})"


class Invitation(TenantModel):
    """An e-mail with a link that makes its reader a member, once. Only a keyed hash of the link's token is kept."""

    paths = Paths("customer_id", digest="digest")

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=8, choices=Role)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("customer", "-created_at")
        constraints = (
            models.CheckConstraint(condition=Q(role__in=("owner", "admin", "viewer")), name="tenants_invitation_role"),
            models.UniqueConstraint(
                fields=("customer", "email"),
                condition=Q(accepted_at=None, withdrawn_at=None),
                name="tenants_invitation_one_open",
            ),
            models.CheckConstraint(
                condition=Q(accepted_at=None) | Q(withdrawn_at=None), name="tenants_invitation_one_end"
            ),
        )

    def __str__(self) -> str:
        return f"invitation of {self.email} to {self.customer}"
