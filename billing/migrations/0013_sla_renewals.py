"""A broken chain of the SLA's ledger can be begun anew: by staff, for good, and for the customer to see.

The minutes of the days between the break and the new chain are sealed in its first file: they are final from then on,
as those of a sealed day are.
"""

import django.db.models.deletion
from django.db import migrations, models

FENCE = """
ALTER TABLE billing_slarenewal ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON billing_slarenewal FOR SELECT USING (hpns_staff() OR customer_id = hpns_customer());
CREATE POLICY make ON billing_slarenewal FOR INSERT WITH CHECK (hpns_staff());
CREATE TRIGGER final BEFORE UPDATE OR DELETE ON billing_slarenewal
    FOR EACH ROW EXECUTE FUNCTION billing_sla_is_final();
CREATE TRIGGER final_as_a_whole BEFORE TRUNCATE ON billing_slarenewal
    FOR EACH STATEMENT EXECUTE FUNCTION billing_sla_is_final();
"""
FENCE_BACK = """
DROP TRIGGER final_as_a_whole ON billing_slarenewal;
DROP TRIGGER final ON billing_slarenewal;
DROP POLICY make ON billing_slarenewal;
DROP POLICY own ON billing_slarenewal;
ALTER TABLE billing_slarenewal DISABLE ROW LEVEL SECURITY;
"""
MINUTE = """
CREATE OR REPLACE FUNCTION billing_sla_minute_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    whose bigint := CASE WHEN TG_OP = 'DELETE' THEN OLD.customer_id ELSE NEW.customer_id END;
    at timestamptz := CASE WHEN TG_OP = 'DELETE' THEN OLD.minute ELSE NEW.minute END;
BEGIN
    IF TG_OP = 'UPDATE' OR EXISTS (
        SELECT FROM billing_sladay WHERE customer_id = whose AND day = (at AT TIME ZONE 'UTC')::date
    ){late} THEN
        IF NOT billing_sla_may_erase(TG_RELID) THEN
            RAISE EXCEPTION 'rows are only added to the ledger of the SLA, and none to a sealed day'
                USING ERRCODE = 'insufficient_privilege';
        END IF;
    END IF;
    RETURN coalesce(NEW, OLD);
END $$;
"""
LATE = """ OR EXISTS (
        SELECT FROM billing_slarenewal WHERE customer_id = whose
            AND broke_on <= (at AT TIME ZONE 'UTC')::date AND (at AT TIME ZONE 'UTC')::date < begins
    )"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0012_exchange")]
    operations = [
        migrations.CreateModel(
            name="SlaRenewal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("broke_on", models.DateField(help_text="The first day without a head that follows.")),
                (
                    "old_head",
                    models.CharField(
                        help_text="The last good head of the old chain: of the day before.", max_length=64
                    ),
                ),
                (
                    "begins",
                    models.DateField(
                        help_text="The new chain's first day. The days from the break on are sealed in its file."
                    ),
                ),
                ("decided_at", models.DateTimeField()),
                (
                    "decided_by",
                    models.CharField(
                        help_text="The person's e-mail address, or the name of the command.", max_length=254
                    ),
                ),
                ("reason", models.CharField(max_length=200)),
                (
                    "customer",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.customer",
                    ),
                ),
            ],
            options={
                "ordering": ("begins",),
                "constraints": [
                    models.UniqueConstraint(fields=("customer", "begins"), name="billing_slarenewal_once"),
                    models.CheckConstraint(
                        condition=models.Q(("broke_on__lt", models.F("begins"))),
                        name="billing_slarenewal_after_the_break",
                    ),
                ],
            },
        ),
        migrations.AlterModelOptions(name="slaledger", options={"verbose_name": "SLA ledger"}),
        migrations.RunSQL(FENCE + MINUTE.format(late=LATE), MINUTE.format(late="") + FENCE_BACK),
    ]
