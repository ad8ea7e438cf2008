"""Holds on REMOVE: for whose devices, of which credential, nobody is believed that they are gone."""

from django.db import models

from tenants.fence import Paths, TenantModel
from tenants.models.apps import Credential, PushApp
from tenants.models.customers import Customer


class RemoveHold(TenantModel):
    """That too many of a customer's devices would have been removed at once, as one credential reaches them.

    While it is held no device of theirs is removed. It ends by itself once fewer would be, or by a person's word, which
    lifts the fuse for a while. The row stays: by it the next e-mail is not sent within a day of the last.
    """

    paths = Paths("customer_id")

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="remove_holds")
    app = models.ForeignKey(PushApp, on_delete=models.CASCADE, related_name="remove_holds")
    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="remove_holds")
    held_at = models.DateTimeField(null=True, blank=True, help_text="Since when; empty: it is not held.")
    released_at = models.DateTimeField(null=True, blank=True, help_text="When somebody has released it last.")
    mailed_at = models.DateTimeField(null=True, blank=True, help_text="When its e-mail was written last.")
    devices = models.PositiveIntegerField(help_text="How many devices would have been removed within ten minutes.")
    tokens = models.PositiveIntegerField(help_text="Of how many.")
    code = models.CharField(max_length=64, help_text="What was said of the last of them.")

    class Meta:
        ordering = ("-held_at",)
        constraints = (models.UniqueConstraint(fields=("customer", "credential"), name="tenants_remove_hold_once"),)

    def __str__(self) -> str:
        return f"{self.app.label} of {self.customer}"
