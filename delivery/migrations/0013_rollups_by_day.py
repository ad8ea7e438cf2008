"""Counts of a customer's pushes per day (UTC), in both grains, for pages that speak of a month and more.

What stands in merged hours has been moved to its day; hours and minutes that are not yet merged stand for their day, too
(the view). The days are filled once out of the merged hours; meanwhile nobody merges (the lock of compacting.py).
"""

from django.db import migrations, models

DIMENSIONS = "customer_id, grain, server_id, app_id, family, type, outcome, code, attribution, counts"
MEASURES = "pushes, acked, handoff, receipt"
COLUMNS = f"{DIMENSIONS}, {MEASURES}"
WHOLE = (
    "customer_id, 1::smallint, 0::bigint, 0::bigint, family, ''::text, outcome, code, attribution, counts, "
    f"{MEASURES}"
)
TABLE = """
SELECT pg_advisory_xact_lock(hashtext('delivery rollups'));
CREATE TABLE delivery_day (LIKE delivery_hour INCLUDING DEFAULTS) PARTITION BY LIST (merged);
CREATE TABLE delivery_day_new PARTITION OF delivery_day FOR VALUES IN (false);
CREATE TABLE delivery_day_merged PARTITION OF delivery_day FOR VALUES IN (true) PARTITION BY RANGE (at);
CREATE TABLE delivery_day_other PARTITION OF delivery_day_merged DEFAULT;
CREATE INDEX delivery_day_new_by_customer ON delivery_day_new (customer_id, grain, at);
CREATE INDEX delivery_day_by_customer ON delivery_day_merged (customer_id, grain, at);
CREATE INDEX delivery_day_by_time ON delivery_day_merged (at) WHERE grain = 1;
ALTER TABLE delivery_day ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON delivery_day FOR SELECT
    USING (customer_id >= hpns_first_customer() AND customer_id <= hpns_last_customer());
ALTER TABLE delivery_day_new SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
"""


def _histogram(name: str) -> str:
    return f"""ARRAY(SELECT sum(entry >> 8)::bigint * 256 + (entry & 255)
        FROM unnest(string_to_array({name}, ',')::bigint[]) AS entry
        GROUP BY (entry & 255) HAVING sum(entry >> 8) <> 0 ORDER BY (entry & 255))"""  # noqa: S608


def _joined(name: str) -> str:
    return f"string_agg(nullif(array_to_string({name}, ','), ''), ',') AS {name}"


FILL = f"""
INSERT INTO delivery_day (at, {COLUMNS}, merged)
SELECT at, {DIMENSIONS}, pushes, acked, {_histogram("handoff")}, {_histogram("receipt")}, true FROM (
    SELECT date_trunc('day', at, 'UTC') AS at, {DIMENSIONS}, sum(pushes)::bigint AS pushes, sum(acked)::bigint AS acked,
        {_joined("handoff")}, {_joined("receipt")}
    FROM delivery_hour WHERE merged GROUP BY date_trunc('day', at, 'UTC'), {DIMENSIONS}
) AS summed WHERE pushes <> 0 OR acked <> 0;
"""  # noqa: S608
VIEW = f"""
CREATE VIEW delivery_day_now WITH (security_invoker = true) AS
    SELECT at, {COLUMNS} FROM delivery_day
    UNION ALL SELECT date_trunc('day', at, 'UTC'), {COLUMNS} FROM delivery_hour WHERE NOT merged
    UNION ALL SELECT date_trunc('day', at, 'UTC'), {COLUMNS} FROM delivery_minute WHERE NOT merged
    UNION ALL SELECT date_trunc('day', at, 'UTC'), {WHOLE} FROM delivery_minute WHERE NOT merged;
"""  # noqa: S608
BACK = """
DROP VIEW delivery_day_now;
DROP TABLE delivery_day;
"""


class Migration(migrations.Migration):
    dependencies = [("delivery", "0012_canary_in_no_rate")]
    operations = [
        migrations.RunSQL(TABLE + FILL + VIEW, BACK),
        migrations.CreateModel(
            name="Day",
            fields=[("at", models.DateTimeField(primary_key=True, serialize=False))],
            options={"managed": False, "db_table": "delivery_day_now"},
        ),
    ]
