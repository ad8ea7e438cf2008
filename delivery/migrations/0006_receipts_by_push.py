"""An index of receipts by their push: whether it was acknowledged before, what its receipts are, and those of an hour."""

from django.db import migrations

FORWARD = """
CREATE INDEX delivery_receipt_by_push ON delivery_receipt (push_at, trace, repeated) WHERE push_at IS NOT NULL;
"""


class Migration(migrations.Migration):
    dependencies = [("delivery", "0005_posts_receipts_and_rollups")]
    operations = [migrations.RunSQL(FORWARD, "DROP INDEX delivery_receipt_by_push;")]
