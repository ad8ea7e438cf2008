"""What rounds could not do for a customer, for staff; who gets mails of the status page is behind a fence, as tenants'
rows are: staff see all of it, and a page that a mailed link leads to its own address."""

from django.db import migrations, models

FENCE = """
CREATE FUNCTION hpns_address() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('hpns.address', true), '') $$;
-- How many there are, for whoever may not see them.
CREATE FUNCTION billing_subscribers() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp AS $$ SELECT count(*) FROM public.billing_subscriber $$;
ALTER TABLE billing_roundfailure ENABLE ROW LEVEL SECURITY;
CREATE POLICY staff ON billing_roundfailure USING (hpns_staff());
ALTER TABLE billing_subscriber ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON billing_subscriber USING (hpns_staff() OR email = hpns_address());
ALTER TABLE billing_notice ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON billing_notice USING (hpns_staff() OR email = hpns_address());
"""
BACK = """
DROP POLICY own ON billing_notice;
ALTER TABLE billing_notice DISABLE ROW LEVEL SECURITY;
DROP POLICY own ON billing_subscriber;
ALTER TABLE billing_subscriber DISABLE ROW LEVEL SECURITY;
DROP POLICY staff ON billing_roundfailure;
DROP FUNCTION billing_subscribers();
DROP FUNCTION hpns_address();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0009_turns")]
    operations = [
        migrations.CreateModel(
            name="RoundFailure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("customer_id", models.BigIntegerField()),
                ("round", models.CharField(help_text="Which round of billing/rounds.py.", max_length=24)),
                ("why", models.CharField(help_text="The error in a line.", max_length=300)),
                ("times", models.IntegerField(default=1, help_text="Rounds that failed in a row.")),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "failure of the timetable",
                "verbose_name_plural": "failures of the timetable",
                "ordering": ("first_at", "id"),
                "constraints": [
                    models.UniqueConstraint(fields=("customer_id", "round"), name="billing_roundfailure_once")
                ],
            },
        ),
        migrations.RunSQL(FENCE, BACK),
    ]
