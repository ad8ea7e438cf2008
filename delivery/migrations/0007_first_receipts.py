"""An index of the first receipts of pushes: whether a push was acknowledged before, and those of an hour's pushes.

It has one entry for each acknowledged push, however often that was acknowledged.
"""

from django.db import migrations

FORWARD = """
CREATE INDEX delivery_receipt_first ON delivery_receipt (push_at, trace) WHERE push_at IS NOT NULL AND NOT repeated;
"""


class Migration(migrations.Migration):
    dependencies = [("delivery", "0005_posts_receipts_and_rollups")]
    operations = [migrations.RunSQL(FORWARD, "DROP INDEX delivery_receipt_first;")]
