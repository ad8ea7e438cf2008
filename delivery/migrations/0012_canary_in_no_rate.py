"""The service's own customer is none of the many that a rate over all customers is made up of."""

from django.db import migrations

FORWARD = """
CREATE OR REPLACE FUNCTION hpns_made_up_of_many(of_family text, since timestamptz, until timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT count(*) >= 5 AND max(pushes) * 4 <= sum(pushes) * 3 FROM (
        SELECT sum(pushes) AS pushes FROM (
            SELECT customer_id, pushes FROM delivery_minute_now
            WHERE until - since <= interval '2 hours' AND at >= since AND at < until
                AND grain = 1 AND family = of_family AND counts AND customer_id NOT IN (SELECT id FROM tenants_customer WHERE canary)
            UNION ALL
            SELECT customer_id, pushes FROM delivery_hour_now
            WHERE until - since > interval '2 hours' AND at >= date_trunc('hour', since, 'UTC') AND at < until
                AND grain = 1 AND family = of_family AND counts AND customer_id NOT IN (SELECT id FROM tenants_customer WHERE canary)
        ) AS counted GROUP BY customer_id
    ) AS by_customer
$$;
CREATE OR REPLACE FUNCTION hpns_hours_of_many(since timestamptz, until timestamptz)
RETURNS TABLE (hour timestamptz, of_family text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT at, family FROM (
        SELECT at, family, sum(pushes) AS pushes FROM delivery_hour_now
        WHERE at >= since AND at < until AND grain = 1 AND counts
            AND customer_id NOT IN (SELECT id FROM tenants_customer WHERE canary)
        GROUP BY at, family, customer_id
    ) AS by_customer GROUP BY at, family HAVING count(*) >= 5 AND max(pushes) * 4 <= sum(pushes) * 3
$$;
"""
BACK = """
CREATE OR REPLACE FUNCTION hpns_made_up_of_many(of_family text, since timestamptz, until timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT count(*) >= 5 AND max(pushes) * 4 <= sum(pushes) * 3 FROM (
        SELECT sum(pushes) AS pushes FROM (
            SELECT customer_id, pushes FROM delivery_minute_now
            WHERE until - since <= interval '2 hours' AND at >= since AND at < until
                AND grain = 1 AND family = of_family AND counts
            UNION ALL
            SELECT customer_id, pushes FROM delivery_hour_now
            WHERE until - since > interval '2 hours' AND at >= date_trunc('hour', since, 'UTC') AND at < until
                AND grain = 1 AND family = of_family AND counts
        ) AS counted GROUP BY customer_id
    ) AS by_customer
$$;
CREATE OR REPLACE FUNCTION hpns_hours_of_many(since timestamptz, until timestamptz)
RETURNS TABLE (hour timestamptz, of_family text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT at, family FROM (
        SELECT at, family, sum(pushes) AS pushes FROM delivery_hour_now
        WHERE at >= since AND at < until AND grain = 1 AND counts GROUP BY at, family, customer_id
    ) AS by_customer GROUP BY at, family HAVING count(*) >= 5 AND max(pushes) * 4 <= sum(pushes) * 3
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("delivery", "0011_pushes_not_handed_off"), ("tenants", "0011_canary_customer")]
    operations = [migrations.RunSQL(FORWARD, BACK)]
