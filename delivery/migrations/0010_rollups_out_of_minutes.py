"""Rollups that are read out of what has been counted of minutes: a push's counts are written once, in the finest grain.

Until compaction moves a minute on, its rows (delivery_minute, NOT merged) stand for the whole customer's minute and for both
grains of the hour, too; the two views add them. Rows that an earlier version has written stand in all four already:
they become merged ones, which stand for themselves alone.
"""

from django.db import migrations

COLUMNS = "customer_id, grain, server_id, app_id, family, type, outcome, code, attribution, counts, pushes, acked, handoff, receipt"
WHOLE = "customer_id, 1::smallint, 0::bigint, 0::bigint, family, ''::text, outcome, code, attribution, counts, pushes, acked, handoff, receipt"
FORWARD = f"""
UPDATE delivery_minute SET merged = true WHERE NOT merged;
CREATE VIEW delivery_minute_now WITH (security_invoker = true) AS
    SELECT at, {COLUMNS} FROM delivery_minute
    UNION ALL SELECT at, {WHOLE} FROM delivery_minute WHERE NOT merged;
CREATE VIEW delivery_hour_now WITH (security_invoker = true) AS
    SELECT at, {COLUMNS} FROM delivery_hour
    UNION ALL SELECT date_trunc('hour', at, 'UTC'), {COLUMNS} FROM delivery_minute WHERE NOT merged
    UNION ALL SELECT date_trunc('hour', at, 'UTC'), {WHOLE} FROM delivery_minute WHERE NOT merged;
"""
BACK = """
DROP VIEW delivery_hour_now, delivery_minute_now;
"""
# As they were (0009), of the views.
OF_MANY = """
CREATE OR REPLACE FUNCTION hpns_made_up_of_many(of_family text, since timestamptz, until timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT count(*) >= 5 AND max(pushes) * 4 <= sum(pushes) * 3 FROM (
        SELECT sum(pushes) AS pushes FROM (
            SELECT customer_id, pushes FROM delivery_minute{now}
            WHERE until - since <= interval '2 hours' AND at >= since AND at < until
                AND grain = 1 AND family = of_family AND counts
            UNION ALL
            SELECT customer_id, pushes FROM delivery_hour{now}
            WHERE until - since > interval '2 hours' AND at >= date_trunc('hour', since, 'UTC') AND at < until
                AND grain = 1 AND family = of_family AND counts
        ) AS counted GROUP BY customer_id
    ) AS by_customer
$$;
CREATE OR REPLACE FUNCTION hpns_hours_of_many(since timestamptz, until timestamptz)
RETURNS TABLE (hour timestamptz, of_family text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT at, family FROM (
        SELECT at, family, sum(pushes) AS pushes FROM delivery_hour{now}
        WHERE at >= since AND at < until AND grain = 1 AND counts GROUP BY at, family, customer_id
    ) AS by_customer GROUP BY at, family HAVING count(*) >= 5 AND max(pushes) * 4 <= sum(pushes) * 3
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("delivery", "0009_rates_of_many_customers")]
    operations = [
        migrations.RunSQL(FORWARD, BACK),
        migrations.RunSQL(OF_MANY.replace("{now}", "_now"), OF_MANY.replace("{now}", "")),
        migrations.AlterModelTable("Minute", "delivery_minute_now"),
        migrations.AlterModelTable("Hour", "delivery_hour_now"),
    ]
