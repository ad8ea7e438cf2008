"""How days are said of moments, in UTC. Pure.

One rule for all ends: an end is a moment, and what people are told is the last day that is included, wholly or in part:
what ends at midnight of 2 September is good until 1 September.
"""

from datetime import UTC, datetime, timedelta


def day(at: datetime) -> str:
    """The day of a moment: "1 March 2026"."""
    utc = at.astimezone(UTC)
    return f"{utc.day} {utc:%B %Y}"


def last_day(at: datetime) -> str:
    """The last day before an end."""
    return day(at - timedelta(microseconds=1))
