"""Whether a rate over all customers is made up of so many of them that it is nobody's: what pages of one customer ask.

The functions run as the owner of the tables, whom no policy binds, and answer yes or no (or which hours): at least five customers, none of whom
has more than three quarters of the pushes. And the few pushes of which nobody knows the end, by an index of their own:
rows of any other outcome are not in it, and cost it nothing. And the hours of a customer out of their index alone: 30
days of 40 servers stand in thousands of blocks of the table, and in hundreds of the index.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION hpns_made_up_of_many(of_family text, since timestamptz, until timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT count(*) >= 5 AND max(pushes) * 4 <= sum(pushes) * 3 FROM (
        SELECT sum(pushes) AS pushes FROM (
            SELECT customer_id, pushes FROM delivery_minute
            WHERE until - since <= interval '2 hours' AND at >= since AND at < until
                AND grain = 1 AND family = of_family AND counts
            UNION ALL
            SELECT customer_id, pushes FROM delivery_hour
            WHERE until - since > interval '2 hours' AND at >= date_trunc('hour', since, 'UTC') AND at < until
                AND grain = 1 AND family = of_family AND counts
        ) AS counted GROUP BY customer_id
    ) AS by_customer
$$;
CREATE FUNCTION hpns_hours_of_many(since timestamptz, until timestamptz)
RETURNS TABLE (hour timestamptz, of_family text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT at, family FROM (
        SELECT at, family, sum(pushes) AS pushes FROM delivery_hour
        WHERE at >= since AND at < until AND grain = 1 AND counts GROUP BY at, family, customer_id
    ) AS by_customer GROUP BY at, family HAVING count(*) >= 5 AND max(pushes) * 4 <= sum(pushes) * 3
$$;
CREATE INDEX delivery_unknown ON delivery_delivery (code, accepted_at) WHERE outcome = 'unknown';
DROP INDEX delivery_hour_by_customer;
CREATE INDEX delivery_hour_by_customer ON delivery_hour_merged (customer_id, grain, at)
    INCLUDE (server_id, app_id, family, type, outcome, code, attribution, counts, pushes, acked);
"""
BACK = """
DROP INDEX delivery_hour_by_customer;
CREATE INDEX delivery_hour_by_customer ON delivery_hour_merged (customer_id, grain, at);
DROP INDEX delivery_unknown;
DROP FUNCTION hpns_hours_of_many(timestamptz, timestamptz);
DROP FUNCTION hpns_made_up_of_many(text, timestamptz, timestamptz);
"""


class Migration(migrations.Migration):
    dependencies = [("delivery", "0008_platform_sightings")]
    operations = [migrations.RunSQL(FORWARD, BACK)]
