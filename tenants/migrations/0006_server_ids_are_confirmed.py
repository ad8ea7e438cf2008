"""A server_id speaks for a server only once staff have confirmed it, and is confirmed for one server alone.

What is there stays in force: where staff allow a customer to push by server_id, its server_ids were in use by their
decision. All others wait. A policy cannot tell columns apart, so a trigger keeps customers' pages from confirming.
"""

from django.db import migrations, models

IN_FORCE = """
WITH confirmed AS (
    UPDATE tenants_serverid AS known SET confirmed_at = now()
    FROM tenants_server AS server JOIN tenants_entitlement AS entitlement USING (customer_id)
    WHERE server.id = known.server_id AND entitlement.may_use_server_id
    RETURNING server.customer_id, server.name, known.mattermost_id
)
INSERT INTO tenants_auditevent (at, customer_id, actor_kind, actor, action, target, details)
SELECT now(), customer_id, 'command', 'manage.py migrate', 'server_id.confirm', mattermost_id,
    jsonb_build_object('server', name)
FROM confirmed;
"""

GUARD = """
CREATE FUNCTION tenants_serverid_confirmed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF row_security_active(TG_RELID) AND NOT hpns_staff() THEN
        RAISE EXCEPTION 'row-level security: a server_id is confirmed by staff'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER confirmed BEFORE INSERT OR UPDATE ON tenants_serverid FOR EACH ROW
    WHEN (NEW.confirmed_at IS NOT NULL) EXECUTE FUNCTION tenants_serverid_confirmed();
"""
NO_GUARD = "DROP TRIGGER confirmed ON tenants_serverid; DROP FUNCTION tenants_serverid_confirmed();"


class Migration(migrations.Migration):
    dependencies = [("tenants", "0005_customers_suspend_themselves")]

    operations = [
        migrations.AddField(
            model_name="serverid",
            name="confirmed_at",
            field=models.DateTimeField(
                blank=True, help_text="When staff confirmed it; empty: it waits, and speaks for nobody.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="serverid",
            name="mattermost_id",
            field=models.CharField(help_text="The server_id that its pushes carry.", max_length=64),
        ),
        migrations.AddConstraint(
            model_name="serverid",
            constraint=models.UniqueConstraint(
                fields=("server", "mattermost_id"), name="tenants_server_id_once_per_server"
            ),
        ),
        migrations.AddConstraint(
            model_name="serverid",
            constraint=models.UniqueConstraint(
                condition=models.Q(("confirmed_at__isnull", False)),
                fields=("mattermost_id",),
                name="tenants_server_id_confirmed_once",
            ),
        ),
        migrations.RunSQL(IN_FORCE, migrations.RunSQL.noop),
        migrations.RunSQL(GUARD, NO_GUARD),
    ]
