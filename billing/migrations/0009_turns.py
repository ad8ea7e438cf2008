"""What pages of customers write of their subscriptions they write in a turn; what is the service's own, staff write.

A turn is what billing/subscriptions/applying.py takes: a setting of the transaction, as the scopes are. So a fault of
another page neither lifts a refusal nor changes a plan. Incidents and maintenance are of no customer, and decide what
counts for everybody's SLA; who gets mails of them decides by links that were mailed, outside of any customer's scope.
"""

from django.db import migrations

TURN = """
CREATE FUNCTION hpns_turn() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(hpns_customer()::text = current_setting('hpns.turn', true), false)
$$;
CREATE FUNCTION billing_in_turn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF row_security_active(TG_RELID) AND NOT hpns_staff() AND NOT hpns_turn() THEN
        RAISE EXCEPTION 'row-level security: subscriptions and what follows from them are changed in a turn of theirs'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
"""
IN_TURN = "".join(
    f"CREATE TRIGGER turn BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION billing_in_turn();\n"
    for table in ("billing_subscription", "billing_laststanding", "billing_planchange", "tenants_entitlement")
)
STAFFS = """
CREATE FUNCTION billing_is_for_staff() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF row_security_active('tenants_customer'::regclass) AND NOT hpns_staff() THEN
        RAISE EXCEPTION 'row-level security: % is written by staff', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION billing_is_for_no_customer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF row_security_active('tenants_customer'::regclass) AND NOT hpns_staff()
        AND (hpns_customer() IS NOT NULL OR hpns_user() IS NOT NULL)
    THEN
        RAISE EXCEPTION 'row-level security: % is written by no page of a customer or a person', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER staff BEFORE INSERT OR UPDATE ON billing_notice
    FOR EACH STATEMENT EXECUTE FUNCTION billing_is_for_staff();
CREATE TRIGGER leaving BEFORE DELETE ON billing_notice
    FOR EACH STATEMENT EXECUTE FUNCTION billing_is_for_no_customer();
CREATE TRIGGER links BEFORE INSERT OR UPDATE OR DELETE ON billing_subscriber
    FOR EACH STATEMENT EXECUTE FUNCTION billing_is_for_no_customer();
""" + "".join(
    f"CREATE TRIGGER staff BEFORE INSERT OR UPDATE OR DELETE ON {table} "
    "FOR EACH STATEMENT EXECUTE FUNCTION billing_is_for_staff();\n"
    for table in ("billing_incident", "billing_incidentupdate", "billing_maintenancewindow", "billing_invoicecounter")
)
BACK = """
DROP FUNCTION billing_is_for_staff() CASCADE;
DROP FUNCTION billing_is_for_no_customer() CASCADE;
DROP FUNCTION billing_in_turn() CASCADE;
DROP FUNCTION hpns_turn();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0008_limits_beside_offers")]
    operations = [migrations.RunSQL(TURN + IN_TURN + STAFFS, BACK)]
