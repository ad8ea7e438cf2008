"""Which rejections named a server's key, and which are only thought to be the server's."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0016_audit_by_whom")]
    operations = [
        migrations.AddField(
            model_name="rejection",
            name="guessed",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Whether none of them named this key: whose they are is a guess by server_id or address.",
            ),
        ),
    ]
