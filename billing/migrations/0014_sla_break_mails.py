"""E-mails about breaks of the SLA's ledger: what is to be told, and what went out."""

import django.db.models.deletion
from django.db import migrations, models

FENCE = """
ALTER TABLE billing_slabreakmail ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON billing_slabreakmail FOR SELECT USING (hpns_staff() OR customer_id = hpns_customer());
"""
FENCE_BACK = """
DROP POLICY own ON billing_slabreakmail;
ALTER TABLE billing_slabreakmail DISABLE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0013_sla_renewals")]
    operations = [
        migrations.CreateModel(
            name="SlaBreakMail",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[("broken", "the chain broke"), ("anew", "the chain was begun anew")], max_length=8
                    ),
                ),
                (
                    "day",
                    models.DateField(
                        help_text="The first day without a head that follows; of a new chain its first one."
                    ),
                ),
                ("found_at", models.DateTimeField()),
                ("sent_at", models.DateTimeField(help_text="Empty: nobody could be written to yet.", null=True)),
                (
                    "customer",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.customer",
                    ),
                ),
            ],
            options={
                "ordering": ("id",),
                "constraints": [
                    models.UniqueConstraint(fields=("customer", "kind", "day"), name="billing_slabreakmail_once"),
                ],
            },
        ),
        migrations.RunSQL(FENCE, FENCE_BACK),
    ]
