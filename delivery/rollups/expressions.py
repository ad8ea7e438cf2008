"""Expressions that the rollups are read by, whose values are integers as they come from PostgreSQL."""

from typing import Any, Final

from django.db.models import Aggregate, BigIntegerField, Func, Sum, TextField

# More than a step has units: of the days of a time zone 25.
BITS: Final = 60


class AsItIs:
    """An expression whose values are integers as they come: Django would look at each of thousands once more."""

    output_field = BigIntegerField()

    def get_db_converters(self, connection: Any) -> list[Any]:
        """None."""
        return []


class Seconds(AsItIs, Func):
    """A moment in seconds since 1970."""

    # As a double, which is exact up there: extract() makes decimals, which are dear for each of thousands of rows.
    template = "date_part('epoch', %(expressions)s)::bigint"


class Total(AsItIs, Sum):
    """A sum as PostgreSQL's bigint: of those it makes decimals, which are dear to read."""

    template = "(%(function)s(%(expressions)s))::bigint"


class Moments(AsItIs, Aggregate):
    """The units of some rows, by their number since 1970 modulo BITS, as bits: arrays would have the rows sorted."""

    template = f"bit_or(1::bigint << mod(date_part('epoch', %(expressions)s)::bigint / %(seconds)s, {BITS})::int)"


class Joined(Aggregate):
    """The elements of all arrays of a column, joined by commas; None where there are none. As text they are added up
    for less than it takes to make arrays of each row."""

    output_field = TextField()
    template = "string_agg(nullif(array_to_string(%(expressions)s, ','), ''), ',')"
