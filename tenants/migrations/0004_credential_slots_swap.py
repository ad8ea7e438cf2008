"""An app's two credentials change places in one statement: the one-per-slot rule is looked at when that is done."""

import django.db.models.constraints
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_row_level_security")]

    operations = [
        migrations.RemoveConstraint(model_name="credential", name="tenants_credential_one_per_slot"),
        migrations.AddConstraint(
            model_name="credential",
            constraint=models.UniqueConstraint(
                deferrable=django.db.models.constraints.Deferrable["IMMEDIATE"],
                fields=("app", "slot"),
                name="tenants_credential_one_per_slot",
            ),
        ),
    ]
