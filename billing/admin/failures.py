"""The staff's view of what rounds could not do for customers: it goes by itself when the round has done it."""

from django.contrib import admin

from billing.models import RoundFailure
from billing.rounds import WORDS
from tenants.admin import ReadOnlyAdmin
from tenants.models import Customer


@admin.register(RoundFailure)
class RoundFailureAdmin(ReadOnlyAdmin):
    """Present failures, the oldest first."""

    list_display = ("customer", "what", "why", "times", "first_at", "last_at")
    list_filter = ("round",)

    @admin.display(description="customer", ordering="customer_id")
    def customer(self, row: RoundFailure) -> str:
        """Its name; its number where it is gone."""
        found = Customer.objects.filter(pk=row.customer_id).values_list("name", flat=True).first()
        return found or f"number {row.customer_id}, which is gone"

    @admin.display(description="what is not done", ordering="round")
    def what(self, row: RoundFailure) -> str:
        """In words."""
        words = WORDS.get(row.round, row.round)
        return f"{words[:1].upper()}{words[1:]}"
