"""Whether a rate over all customers is made up of so many of them that it is nobody's: what pages of one customer ask.

It runs as the owner of the tables, whom no policy binds, and answers yes or no: at least five customers, none of whom
has more than three quarters of the pushes. And the few pushes of which nobody knows the end, by an index of their own:
rows of any other outcome are not in it, and cost it nothing.
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
CREATE INDEX delivery_unknown ON delivery_delivery (code, accepted_at) WHERE outcome = 'unknown';
"""
BACK = "DROP INDEX delivery_unknown; DROP FUNCTION hpns_made_up_of_many(text, timestamptz, timestamptz);"


class Migration(migrations.Migration):
    dependencies = [("delivery", "0007_first_receipts")]
    operations = [migrations.RunSQL(FORWARD, BACK)]
