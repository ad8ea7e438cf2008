"""The log behind the second fence (tenants 0003): the pages' role sees the rows of the customer that it acts for.

One range and not "staff, or this customer", because an index can be used for a range.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION hpns_first_customer() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN current_setting('hpns.staff', true) = 'on' THEN 0
        ELSE nullif(current_setting('hpns.customer', true), '')::bigint END $$;
CREATE FUNCTION hpns_last_customer() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN current_setting('hpns.staff', true) = 'on' THEN 9223372036854775807
        ELSE nullif(current_setting('hpns.customer', true), '')::bigint END $$;
ALTER TABLE delivery_delivery ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON delivery_delivery FOR SELECT
    USING (customer_id >= hpns_first_customer() AND customer_id <= hpns_last_customer());
"""
BACK = """
DROP POLICY own ON delivery_delivery;
ALTER TABLE delivery_delivery DISABLE ROW LEVEL SECURITY;
DROP FUNCTION hpns_first_customer();
DROP FUNCTION hpns_last_customer();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("delivery", "0003_log_by_customer_in_order"),
        ("tenants", "0003_row_level_security"),
    ]
    operations = [migrations.RunSQL(FORWARD, BACK)]
