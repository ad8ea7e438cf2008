"""How many servers, keys and apps a customer may have: each process knows all of them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0014_customer_of_key")]

    operations = [
        migrations.AddField(
            model_name="entitlement",
            name=name,
            field=models.PositiveIntegerField(
                blank=True, db_default=default, default=default, help_text=help_text, null=True
            ),
        )
        for name, default, help_text in (
            ("server_quota", 200, "Servers that it may have."),
            ("key_quota", 1000, "Keys in use that it may have; as many a day."),
            ("app_quota", 50, "Enabled apps that it may have; as many a day."),
        )
    ]
