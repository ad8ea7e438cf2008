"""An index of the pushes that were not handed off: the few rows that people look for, among all others.

Rows that were handed off are not in it, and cost it nothing.
"""

from django.db import migrations

FORWARD = "CREATE INDEX delivery_not_sent ON delivery_delivery (customer_id, accepted_at) WHERE outcome <> 'sent';"
BACK = "DROP INDEX delivery_not_sent;"


class Migration(migrations.Migration):
    dependencies = [("delivery", "0010_rollups_out_of_minutes")]
    operations = [migrations.RunSQL(FORWARD, BACK)]
