"""Since when a credential signs, and for whose devices REMOVE is held."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

FENCE = """
ALTER TABLE tenants_removehold ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tenants_removehold USING (hpns_staff() OR customer_id = hpns_customer());
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0017_guessed_rejections")]

    operations = [
        migrations.AddField(
            model_name="credential",
            name="signs_since",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                editable=False,
                help_text="When it began to sign for its app as the app is now.",
            ),
        ),
        # What was there before the update has signed since it was uploaded, as far as is known.
        migrations.RunSQL("UPDATE tenants_credential SET signs_since = created_at;", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="RemoveHold",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "held_at",
                    models.DateTimeField(blank=True, help_text="Since when; empty: it is not held.", null=True),
                ),
                (
                    "released_at",
                    models.DateTimeField(blank=True, help_text="When somebody has released it last.", null=True),
                ),
                (
                    "mailed_at",
                    models.DateTimeField(blank=True, help_text="When its e-mail was written last.", null=True),
                ),
                (
                    "devices",
                    models.PositiveIntegerField(
                        help_text="How many devices would have been removed within ten minutes."
                    ),
                ),
                ("tokens", models.PositiveIntegerField(help_text="Of how many.")),
                ("code", models.CharField(help_text="What was said of the last of them.", max_length=64)),
                (
                    "app",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="remove_holds",
                        to="tenants.pushapp",
                    ),
                ),
                (
                    "credential",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="remove_holds",
                        to="tenants.credential",
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="remove_holds",
                        to="tenants.customer",
                    ),
                ),
            ],
            options={"ordering": ("-held_at",)},
        ),
        migrations.AddConstraint(
            model_name="removehold",
            constraint=models.UniqueConstraint(fields=("customer", "credential"), name="tenants_remove_hold_once"),
        ),
        migrations.RunSQL(FENCE, "DROP POLICY own ON tenants_removehold;"),
    ]
