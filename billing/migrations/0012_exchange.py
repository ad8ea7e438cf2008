"""SLA credit can become credit in another currency, at a rate that staff state."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0011_reminders")]
    operations = [
        migrations.AlterField(
            model_name="ledgerentry",
            name="kind",
            field=models.CharField(
                choices=[
                    ("payment", "Payment"),
                    ("refund", "Refund"),
                    ("credit_note", "credit note"),
                    ("balance", "paid out of the balance"),
                    ("sla_credit", "SLA credit"),
                    ("sla_credit_used", "SLA credit used"),
                    ("exchange", "SLA credit in another currency"),
                ],
                max_length=15,
            ),
        ),
    ]
