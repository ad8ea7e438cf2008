"""Lets staff change what comes after a quota's limits: they change offers in the pages' role."""

from django.db import migrations

POLICY = "CREATE POLICY change ON billing_usagelimit FOR UPDATE USING (hpns_staff());"


class Migration(migrations.Migration):
    """A policy; pages of customers read alone, as before."""

    dependencies = (("billing", "0007_invoices"),)
    operations = (migrations.RunSQL(POLICY, "DROP POLICY change ON billing_usagelimit;"),)
