"""What billing's rounds could not do for a customer: the service's own state, which staff alone see."""

from django.db import models


class RoundFailure(models.Model):
    """The present failure of a round for a customer: gone when that round has done it."""

    # No foreign key: a customer that is being erased waits for no round, and no round for it.
    customer_id = models.BigIntegerField()
    round = models.CharField(max_length=24, help_text="Which round of billing/rounds.py.")
    why = models.CharField(max_length=300, help_text="The error in a line.")
    times = models.IntegerField(default=1, help_text="Rounds that failed in a row.")
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        verbose_name = "failure of the timetable"
        verbose_name_plural = "failures of the timetable"
        ordering = ("first_at", "id")
        constraints = (models.UniqueConstraint(fields=("customer_id", "round"), name="billing_roundfailure_once"),)

    def __str__(self) -> str:
        return f"{self.round} of {self.customer_id}"
