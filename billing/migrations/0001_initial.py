"""The beginning of billing's tables: nothing yet, so that each part's migration has one to build on."""

from django.db import migrations


class Migration(migrations.Migration):
    initial = True
    dependencies = [("tenants", "0008_rejections"), ("delivery", "0009_rates_of_many_customers")]
    operations: list[migrations.operations.base.Operation] = []
