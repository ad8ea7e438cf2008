"""Mails about a document are told apart: that it was issued (0 days), and that it is overdue for so many days."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0010_failures_and_fences")]
    operations = [
        migrations.AlterModelOptions(name="slamonth", options={"ordering": ("-month",), "verbose_name": "SLA month"}),
        migrations.AlterModelOptions(name="slacredit", options={"ordering": ("id",), "verbose_name": "SLA credit"}),
        migrations.RemoveConstraint(model_name="invoicemail", name="billing_mailed_once"),
        migrations.AddField(
            model_name="invoicemail",
            name="days",
            field=models.PositiveSmallIntegerField(
                default=0, help_text="Of a reminder: days after the due date. 0: it was issued."
            ),
        ),
        migrations.AddConstraint(
            model_name="invoicemail",
            constraint=models.UniqueConstraint(fields=("invoice", "address", "days"), name="billing_mailed_once"),
        ),
    ]
