"""The forms of the page of a subscription."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms

from tenants.pages.forms import ConfirmForm


def end_of_day(day: date) -> datetime:
    """The end of a day in UTC: midnight after it."""
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=UTC)


class CancelForm(ConfirmForm):
    """With which day a subscription ends."""

    on = forms.DateField(
        label="Last day",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="Pushes are served to the end of this day (UTC).",
    )
    field_order = ("on", "typed")

    def __init__(self, *args: Any, expected: str, today: date, suggested: date, **kwargs: Any) -> None:
        """`expected`: the slug, to be typed; `suggested`: the day that is filled in."""
        super().__init__(*args, expected=expected, what="the slug", initial={"on": suggested}, **kwargs)
        self._today = today
        self.fields["on"].widget.attrs["min"] = today.isoformat()

    def clean_on(self) -> date:
        """Raise a ValidationError for a day that is over."""
        on: date = self.cleaned_data["on"]
        if on < self._today:
            raise forms.ValidationError("This day is over. Choose today or a later one.")
        return on

    def add_error_of(self, sentence: str) -> None:
        """Say at the date what is wrong."""
        self.add_error("on", sentence)


class ConfirmPlanForm(forms.Form):
    """The plan, and the amount that was shown for it."""

    plan = forms.SlugField(widget=forms.HiddenInput)
    amount = forms.IntegerField(widget=forms.HiddenInput, min_value=-(10**12), max_value=10**12)
