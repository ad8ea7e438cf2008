"""The second fence: PostgreSQL itself shows the pages' role no row of which the page has not said that it may.

A page says so by settings of its transaction (tenants/scope.py): hpns.customer, hpns.user, hpns.invitation (the digest
of an invitation's token, in hex), hpns.staff. None of them set: no row. The owner of the tables and roles with
BYPASSRLS are not bound by any of this.

And the audit log, to which rows are only added.
"""

from django.db import migrations

TABLES = (
    *("customer", "entitlement", "membership", "invitation", "server", "serverid", "serverkey", "sighting"),
    *("pushapp", "credential", "auditevent"),
)

# Functions of one expression, which the planner puts in where they stand, and whose result it can estimate.
FUNCTIONS = """
CREATE FUNCTION hpns_customer() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('hpns.customer', true), '')::bigint $$;
CREATE FUNCTION hpns_user() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('hpns.user', true), '')::bigint $$;
CREATE FUNCTION hpns_invitation() RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT decode(nullif(current_setting('hpns.invitation', true), ''), 'hex') $$;
CREATE FUNCTION hpns_staff() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT coalesce(current_setting('hpns.staff', true), '') = 'on' $$;
"""

# A policy may look into another table only if that table's policies do not look back: membership and invitation look
# into none, so all others may look into them.
POLICIES = """
CREATE POLICY see ON tenants_customer FOR SELECT USING (
    hpns_staff()
    OR id = hpns_customer()
    OR id IN (SELECT customer_id FROM tenants_membership WHERE user_id = hpns_user())
    OR id IN (SELECT customer_id FROM tenants_invitation WHERE digest = hpns_invitation()));
CREATE POLICY make ON tenants_customer FOR INSERT WITH CHECK (hpns_staff());
CREATE POLICY change ON tenants_customer FOR UPDATE USING (hpns_staff() OR id = hpns_customer());

CREATE POLICY see ON tenants_entitlement FOR SELECT USING (hpns_staff() OR customer_id = hpns_customer());
CREATE POLICY make ON tenants_entitlement FOR INSERT WITH CHECK (hpns_staff());
CREATE POLICY change ON tenants_entitlement FOR UPDATE USING (hpns_staff());

CREATE POLICY see ON tenants_membership FOR SELECT USING (
    hpns_staff() OR customer_id = hpns_customer() OR user_id = hpns_user());
-- Only by the invitation that says so; it has just been accepted, or is about to be.
CREATE POLICY make ON tenants_membership FOR INSERT WITH CHECK (
    hpns_staff()
    OR (user_id = hpns_user() AND EXISTS (
        SELECT FROM tenants_invitation asked
        WHERE asked.digest = hpns_invitation() AND asked.customer_id = tenants_membership.customer_id
            AND asked.role = tenants_membership.role AND asked.withdrawn_at IS NULL AND asked.expires_at > now()
            AND (asked.accepted_at IS NULL OR asked.accepted_at > now() - interval '1 minute'))));
CREATE POLICY change ON tenants_membership FOR UPDATE USING (hpns_staff() OR customer_id = hpns_customer());
CREATE POLICY remove ON tenants_membership FOR DELETE USING (hpns_staff() OR customer_id = hpns_customer());

CREATE POLICY see ON tenants_invitation FOR SELECT USING (
    hpns_staff() OR customer_id = hpns_customer() OR digest = hpns_invitation());
CREATE POLICY make ON tenants_invitation FOR INSERT WITH CHECK (hpns_staff() OR customer_id = hpns_customer());
CREATE POLICY change ON tenants_invitation FOR UPDATE USING (
    hpns_staff() OR customer_id = hpns_customer() OR digest = hpns_invitation());

CREATE POLICY own ON tenants_server USING (hpns_staff() OR customer_id = hpns_customer());
CREATE POLICY own ON tenants_serverid USING (
    hpns_staff() OR server_id IN (SELECT id FROM tenants_server WHERE customer_id = hpns_customer()));
CREATE POLICY own ON tenants_serverkey USING (
    hpns_staff() OR server_id IN (SELECT id FROM tenants_server WHERE customer_id = hpns_customer()));
CREATE POLICY own ON tenants_sighting USING (
    hpns_staff() OR key_id IN (
        SELECT k.id FROM tenants_serverkey k JOIN tenants_server s ON s.id = k.server_id
        WHERE s.customer_id = hpns_customer()));

CREATE POLICY own ON tenants_pushapp USING (hpns_staff() OR customer_id = hpns_customer());
-- The operator's shared apps can be looked at by every customer, and their credentials by none.
CREATE POLICY shared ON tenants_pushapp FOR SELECT USING (customer_id IS NULL AND hpns_customer() IS NOT NULL);
CREATE POLICY own ON tenants_credential USING (
    hpns_staff() OR app_id IN (SELECT id FROM tenants_pushapp WHERE customer_id = hpns_customer()));

CREATE POLICY see ON tenants_auditevent FOR SELECT USING (hpns_staff() OR customer_id = hpns_customer());
-- What concerns no customer is noted by pages in no scope, too: a login, say.
CREATE POLICY make ON tenants_auditevent FOR INSERT WITH CHECK (
    hpns_staff() OR customer_id IS NULL OR customer_id = hpns_customer()
    OR customer_id IN (SELECT customer_id FROM tenants_invitation WHERE digest = hpns_invitation()));
"""

# A customer changes its name and such, and not what was agreed on: a policy cannot tell columns apart.
TERMS = """
CREATE FUNCTION tenants_customer_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF row_security_active(TG_RELID) AND NOT hpns_staff() THEN
        RAISE EXCEPTION 'row-level security: status, offer and slug of a customer are changed by staff'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER terms BEFORE UPDATE ON tenants_customer FOR EACH ROW
    WHEN ((OLD.status, OLD.offer, OLD.slug) IS DISTINCT FROM (NEW.status, NEW.offer, NEW.slug))
    EXECUTE FUNCTION tenants_customer_terms();
"""

# Not even the owner changes an event by accident: whoever erases a customer says so for that transaction.
FINAL = """
CREATE FUNCTION tenants_audit_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('hpns.erasure', true), '') <> 'on' OR NOT pg_has_role(
        current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE'
    ) THEN
        RAISE EXCEPTION 'rows are only added to the audit log' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER final BEFORE UPDATE OR DELETE ON tenants_auditevent
    FOR EACH ROW EXECUTE FUNCTION tenants_audit_is_final();
CREATE TRIGGER final_as_a_whole BEFORE TRUNCATE ON tenants_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION tenants_audit_is_final();
"""


def forward(apps, schema_editor):
    enable = "".join(f"ALTER TABLE tenants_{name} ENABLE ROW LEVEL SECURITY;\n" for name in TABLES)
    schema_editor.execute(FUNCTIONS + enable + POLICIES + TERMS + FINAL, params=None)


def back(apps, schema_editor):
    schema_editor.execute(
        """
        DROP TRIGGER final ON tenants_auditevent;
        DROP TRIGGER final_as_a_whole ON tenants_auditevent;
        DROP FUNCTION tenants_audit_is_final();
        DROP TRIGGER terms ON tenants_customer;
        DROP FUNCTION tenants_customer_terms();
        """,
        params=None,
    )
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT tablename, policyname FROM pg_policies WHERE tablename LIKE 'tenants\\_%'")
        for table, policy in cursor.fetchall():
            schema_editor.execute(f"DROP POLICY {policy} ON {table}")
    for name in TABLES:
        schema_editor.execute(f"ALTER TABLE tenants_{name} DISABLE ROW LEVEL SECURITY")
    schema_editor.execute(
        "DROP FUNCTION hpns_customer(); DROP FUNCTION hpns_user(); DROP FUNCTION hpns_invitation(); "
        "DROP FUNCTION hpns_staff()",
        params=None,
    )


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_people_and_limits")]
    operations = [migrations.RunPython(forward, back)]
