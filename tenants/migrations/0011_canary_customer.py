"""The customer that stands for the service itself: at most one, and no page of a customer makes itself it."""

from django.db import migrations, models

TRIGGER = """
DROP TRIGGER terms ON tenants_customer;
CREATE TRIGGER terms BEFORE UPDATE ON tenants_customer FOR EACH ROW
    WHEN (({old}) IS DISTINCT FROM ({new}))
    EXECUTE FUNCTION tenants_customer_terms();
"""
FUNCTION = """
CREATE OR REPLACE FUNCTION tenants_customer_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF row_security_active(TG_RELID) AND NOT hpns_staff()
        AND NOT (NEW.status = 'suspended' AND ({old}) IS NOT DISTINCT FROM ({new})) THEN
        RAISE EXCEPTION 'row-level security: status, offer and slug of a customer are changed by staff'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
"""


def _fixed(*columns):
    def of(row, *names):
        return ", ".join(f"{row}.{name}" for name in names)

    trigger = TRIGGER.format(old=of("OLD", "status", *columns), new=of("NEW", "status", *columns))
    return trigger + FUNCTION.format(old=of("OLD", *columns), new=of("NEW", *columns))


class Migration(migrations.Migration):
    dependencies = [("tenants", "0010_entitlement_standing")]

    operations = [
        migrations.AddField(
            model_name="customer",
            name="canary",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="The service's own, which pushes every minute to see whether pushes go: in nobody else's figures.",
            ),
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.UniqueConstraint(
                condition=models.Q(("canary", True)), fields=("canary",), name="tenants_customer_one_canary"
            ),
        ),
        migrations.RunSQL(_fixed("offer", "slug", "canary"), _fixed("offer", "slug")),
    ]
