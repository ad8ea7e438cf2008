"""A customer's own page may suspend it, which asking for its erasure does, and nothing more: staff alone resume it."""

from django.db import migrations

FUNCTION = """
CREATE OR REPLACE FUNCTION tenants_customer_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF row_security_active(TG_RELID) AND NOT hpns_staff(){unless} THEN
        RAISE EXCEPTION 'row-level security: status, offer and slug of a customer are changed by staff'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
"""
UNLESS = """
        AND NOT (NEW.status = 'suspended' AND (OLD.offer, OLD.slug) IS NOT DISTINCT FROM (NEW.offer, NEW.slug))"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0004_credential_slots_swap")]
    operations = [migrations.RunSQL(FUNCTION.format(unless=UNLESS), FUNCTION.format(unless=""))]
