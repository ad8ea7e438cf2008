"""The log by customer in the order in which rows come: an index that grows at its end splits no page in the middle."""

from django.db import migrations

FORWARD = """
DROP INDEX delivery_by_customer;
CREATE INDEX delivery_by_customer ON delivery_delivery (customer_id, accepted_at);
"""
BACK = """
DROP INDEX delivery_by_customer;
CREATE INDEX delivery_by_customer ON delivery_delivery (customer_id, accepted_at DESC);
"""


class Migration(migrations.Migration):
    dependencies = [("delivery", "0002_log_by_time")]
    operations = [migrations.RunSQL(FORWARD, BACK)]
