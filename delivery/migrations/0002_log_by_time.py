"""The log by time, the latest first: the list of the last day is read from its end, not sorted as a whole."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("delivery", "0001_delivery_log")]
    operations = [
        migrations.RunSQL(
            "CREATE INDEX delivery_by_time ON delivery_delivery (accepted_at)", "DROP INDEX delivery_by_time"
        ),
    ]
