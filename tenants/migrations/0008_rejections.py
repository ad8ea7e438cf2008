"""Requests that were rejected at the door, by key, reason and address: for the pages of whose key it was."""

import django.db.models.deletion
from django.db import migrations, models

FENCE = """
ALTER TABLE tenants_rejection ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tenants_rejection USING (
    hpns_staff() OR key_id IN (
        SELECT k.id FROM tenants_serverkey k JOIN tenants_server s ON s.id = k.server_id
        WHERE s.customer_id = hpns_customer()));
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0007_choices_from_the_table")]

    operations = [
        migrations.CreateModel(
            name="Rejection",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=64)),
                ("address", models.CharField(blank=True, max_length=45)),
                ("count", models.BigIntegerField(help_text="Since first_at; begins anew after a day without any.")),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("encrypted", models.BooleanField(help_text="Whether the last one came over HTTPS.")),
                (
                    "tls",
                    models.CharField(
                        blank=True,
                        help_text="Of the last one, such as TLSv1.3; empty: none, or a proxy's.",
                        max_length=16,
                    ),
                ),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rejections",
                        to="tenants.serverkey",
                    ),
                ),
            ],
            options={"ordering": ("-last_at",)},
        ),
        migrations.AddConstraint(
            model_name="rejection",
            constraint=models.UniqueConstraint(
                fields=("key", "code", "address"), name="tenants_rejection_once"
            ),
        ),
        migrations.RunSQL(FENCE, "DROP POLICY own ON tenants_rejection;"),
    ]
