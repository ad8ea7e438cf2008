"""Breaks a customer's chain as the service would: a file that could not be made."""

from datetime import date
from typing import Any

import pytest

from billing.models import SlaDay
from billing.sla import sealing
from tenants.models import Customer
from tenants.problem import ProblemError


def left_out_once(patch: pytest.MonkeyPatch, customer: Customer, day: date) -> None:
    """From now on the customer's file of this day cannot be made."""
    whole = sealing._file

    def file(of: Any, which: date, unwritten: frozenset[int]) -> SlaDay:
        if which == day and of.customer_id == customer.pk:
            raise ProblemError("a minute of it is impossible")
        return whole(of, which, unwritten)

    patch.setattr(sealing, "_file", file)
