"""What the standing of a subscription means for the path: a refusal of pushes, and whether servers may be added.

A page of the customer's writes it, too: an upload of a licence or a change of plan is in force at once. The rest of the
entitlement stays with staff: a policy cannot tell columns apart, so that a trigger does.
"""

from django.db import migrations, models

FENCE = """
DROP POLICY change ON tenants_entitlement;
CREATE POLICY change ON tenants_entitlement FOR UPDATE USING (hpns_staff() OR customer_id = hpns_customer());
CREATE FUNCTION tenants_entitlement_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF row_security_active(TG_RELID) AND NOT hpns_staff()
        AND to_jsonb(OLD) - '{refusal,may_grow,updated_at}'::text[]
            IS DISTINCT FROM to_jsonb(NEW) - '{refusal,may_grow,updated_at}'::text[]
    THEN
        RAISE EXCEPTION 'row-level security: what a customer is entitled to is changed by staff'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER terms BEFORE UPDATE ON tenants_entitlement FOR EACH ROW EXECUTE FUNCTION tenants_entitlement_terms();
"""
BACK = """
DROP TRIGGER terms ON tenants_entitlement;
DROP FUNCTION tenants_entitlement_terms();
DROP POLICY change ON tenants_entitlement;
CREATE POLICY change ON tenants_entitlement FOR UPDATE USING (hpns_staff());
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0009_proofs")]

    operations = [
        migrations.AddField(
            model_name="entitlement",
            name="may_grow",
            field=models.BooleanField(default=True, help_text="Off: no new servers, keys and apps."),
        ),
        migrations.AddField(
            model_name="entitlement",
            name="refusal",
            field=models.CharField(
                blank=True,
                default="",
                help_text="The code that pushes are refused with, wipes and acks excepted; empty: they are served.",
                max_length=32,
            ),
            preserve_default=False,
        ),
        migrations.RunSQL(FENCE, BACK),
    ]
