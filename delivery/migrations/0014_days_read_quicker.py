"""Days are read out of their index alone, as hours are (0009), and what is not yet merged is put into its hour and day
by arithmetic: date_trunc() looks its time zone up for each row, which took longer than reading them.

Hours and days of UTC begin a whole number of them after any midnight of UTC.
"""

from django.db import migrations

DIMENSIONS = "customer_id, grain, server_id, app_id, family, type, outcome, code, attribution, counts"
MEASURES = "pushes, acked, handoff, receipt"
COLUMNS = f"{DIMENSIONS}, {MEASURES}"
WHOLE = (
    "customer_id, 1::smallint, 0::bigint, 0::bigint, family, ''::text, outcome, code, attribution, counts, "
    f"{MEASURES}"
)
VIEWS = """
CREATE OR REPLACE VIEW delivery_hour_now WITH (security_invoker = true) AS
    SELECT at, {columns} FROM delivery_hour
    UNION ALL SELECT {hour}, {columns} FROM delivery_minute WHERE NOT merged
    UNION ALL SELECT {hour}, {whole} FROM delivery_minute WHERE NOT merged;
CREATE OR REPLACE VIEW delivery_day_now WITH (security_invoker = true) AS
    SELECT at, {columns} FROM delivery_day
    UNION ALL SELECT {day}, {columns} FROM delivery_hour WHERE NOT merged
    UNION ALL SELECT {day}, {columns} FROM delivery_minute WHERE NOT merged
    UNION ALL SELECT {day}, {whole} FROM delivery_minute WHERE NOT merged;
"""
BY_ARITHMETIC = VIEWS.format(
    columns=COLUMNS,
    whole=WHOLE,
    hour="date_bin('1 hour', at, '2000-01-01 00:00:00+00'::timestamptz)",
    day="date_bin('1 day', at, '2000-01-01 00:00:00+00'::timestamptz)",
)
BY_ZONE = VIEWS.format(
    columns=COLUMNS, whole=WHOLE, hour="date_trunc('hour', at, 'UTC')", day="date_trunc('day', at, 'UTC')"
)
INDEX = f"""
DROP INDEX delivery_day_by_customer;
CREATE INDEX delivery_day_by_customer ON delivery_day_merged (customer_id, grain, at)
    INCLUDE ({DIMENSIONS.removeprefix("customer_id, grain, ")}, pushes, acked);
"""
BACK = """
DROP INDEX delivery_day_by_customer;
CREATE INDEX delivery_day_by_customer ON delivery_day_merged (customer_id, grain, at);
"""


class Migration(migrations.Migration):
    dependencies = [("delivery", "0013_rollups_by_day")]
    operations = [migrations.RunSQL(INDEX + BY_ARITHMETIC, BY_ZONE + BACK)]
