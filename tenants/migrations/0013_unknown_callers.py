"""Pushes that were refused at the door and name nobody, for staff."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0012_servers_and_apps_are_removed")]

    operations = [
        migrations.CreateModel(
            name="UnknownCaller",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=64)),
                ("address", models.CharField(blank=True, max_length=45)),
                ("mattermost_id", models.CharField(blank=True, max_length=64, verbose_name="server_id")),
                ("count", models.BigIntegerField()),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
            ],
            options={"ordering": ("-last_at",)},
        ),
        migrations.AddConstraint(
            model_name="unknowncaller",
            constraint=models.UniqueConstraint(
                fields=("code", "address", "mattermost_id"), name="tenants_unknown_caller_once"
            ),
        ),
    ]
