"""The SLA's ledger behind the second fence (tenants 0003), and final once it is sealed.

Not even the owner changes what is sealed by accident: whoever erases a customer, or forgets what is past its time, says
so for that transaction (hpns.erasure), as with the audit log.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

FENCED = ("slaledger", "slaminute", "sladay", "slafile", "slacorrection", "slamonth", "slacredit")
FINAL = ("sladay", "slafile", "slacorrection", "slacredit", "slaroot")

FENCE = """
ALTER TABLE billing_{table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON billing_{table} FOR SELECT USING (hpns_staff() OR customer_id = hpns_customer());
"""
FUNCTIONS = """
CREATE FUNCTION billing_sla_may_erase(relation oid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('hpns.erasure', true), '') = 'on' AND pg_has_role(
        current_user, (SELECT relowner FROM pg_class WHERE oid = relation), 'USAGE')
$$;
CREATE FUNCTION billing_sla_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT billing_sla_may_erase(TG_RELID) THEN
        RAISE EXCEPTION 'rows are only added to the ledger of the SLA' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN coalesce(NEW, OLD);
END $$;
CREATE FUNCTION billing_sla_minute_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    whose bigint := CASE WHEN TG_OP = 'DELETE' THEN OLD.customer_id ELSE NEW.customer_id END;
    at timestamptz := CASE WHEN TG_OP = 'DELETE' THEN OLD.minute ELSE NEW.minute END;
BEGIN
    IF TG_OP = 'UPDATE' OR EXISTS (
        SELECT FROM billing_sladay WHERE customer_id = whose AND day = (at AT TIME ZONE 'UTC')::date
    ) THEN
        IF NOT billing_sla_may_erase(TG_RELID) THEN
            RAISE EXCEPTION 'rows are only added to the ledger of the SLA, and none to a sealed day'
                USING ERRCODE = 'insufficient_privilege';
        END IF;
    END IF;
    RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER final BEFORE INSERT OR UPDATE OR DELETE ON billing_slaminute
    FOR EACH ROW EXECUTE FUNCTION billing_sla_minute_is_final();
CREATE TRIGGER final_as_a_whole BEFORE TRUNCATE ON billing_slaminute
    FOR EACH STATEMENT EXECUTE FUNCTION billing_sla_is_final();
"""
TRIGGERS = """
CREATE TRIGGER final BEFORE UPDATE OR DELETE ON billing_{table}
    FOR EACH ROW EXECUTE FUNCTION billing_sla_is_final();
CREATE TRIGGER final_as_a_whole BEFORE TRUNCATE ON billing_{table}
    FOR EACH STATEMENT EXECUTE FUNCTION billing_sla_is_final();
"""
BACK = """
DROP FUNCTION billing_sla_is_final() CASCADE;
DROP FUNCTION billing_sla_minute_is_final() CASCADE;
DROP FUNCTION billing_sla_may_erase(oid);
"""
POLICIES_BACK = "DROP POLICY own ON billing_{table}; ALTER TABLE billing_{table} DISABLE ROW LEVEL SECURITY;"


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_usage")]
    operations = [
        migrations.CreateModel(
            name='SlaKey',
            fields=[
                ('key', models.CharField(help_text='The beginning of the SHA-256 of the public key.', max_length=16, primary_key=True, serialize=False)),
                ('public', models.CharField(max_length=64)),
                ('made_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='SlaRoot',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False)),
                ('size', models.IntegerField(help_text='How many customers had a file.')),
                ('root', models.CharField(max_length=64)),
                ('key', models.CharField(help_text='The id of the key that has signed it.', max_length=16)),
                ('signature', models.CharField(max_length=128)),
                ('sealed_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='SlaSecret',
            fields=[
                ('key', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='+', serialize=False, to='billing.slakey')),
                ('sealed', models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name='SlaLedger',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(unique=True)),
                ('begins', models.DateField(help_text='The first day that it has a file of.')),
                ('customer', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.customer')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='SlaCorrection',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('minute', models.DateTimeField(help_text='When it begins, in UTC, by when its pushes were accepted.')),
                ('valid', models.BigIntegerField(help_text='Valid pushes.')),
                ('failed_ours', models.BigIntegerField(help_text='Of them those that we failed.')),
                ('failed_provider', models.BigIntegerField()),
                ('failed_customer', models.BigIntegerField()),
                ('failed_device', models.BigIntegerField()),
                ('le_1s', models.BigIntegerField(help_text='Valid pushes handed off within 1 s.')),
                ('le_3s', models.BigIntegerField(help_text='Valid pushes handed off within 3 s.')),
                ('canary', models.CharField(help_text='good, bad, missing, or off: none is set up.', max_length=8)),
                ('verdict', models.CharField(help_text='ok, bad or excluded.', max_length=8)),
                ('reason', models.CharField(blank=True, max_length=250)),
                ('day', models.DateField(help_text='The day in whose file it stands.')),
                ('favours_customer', models.BooleanField(help_text='It can only lower the uptime that is told.')),
                ('made_at', models.DateTimeField()),
                ('customer', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.customer')),
            ],
            options={
                'ordering': ('id',),
                'indexes': [models.Index(fields=['customer', 'day'], name='billing_slacorrection_by_day')],
            },
        ),
        migrations.CreateModel(
            name='SlaCredit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('month', models.DateField(help_text='Its first day.')),
                ('percent', models.SmallIntegerField(help_text="Of the month's fee, in all.")),
                ('price_minor', models.BigIntegerField(help_text="The month's fee in minor units.")),
                ('amount_minor', models.BigIntegerField(help_text='What this adds to what was credited before.')),
                ('currency', models.CharField(max_length=3)),
                ('root', models.CharField(help_text="The Merkle root of the month's last day.", max_length=64)),
                ('made_at', models.DateTimeField()),
                ('customer', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.customer')),
            ],
            options={
                'ordering': ('id',),
                'constraints': [models.CheckConstraint(condition=models.Q(('amount_minor__gt', 0)), name='billing_slacredit_positive'), models.UniqueConstraint(fields=('customer', 'month', 'percent'), name='billing_slacredit_once')],
            },
        ),
        migrations.CreateModel(
            name='SlaDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('sha', models.CharField(max_length=64)),
                ('head', models.CharField(max_length=64)),
                ('index', models.IntegerField(help_text='The place of the head among those of the day, ascending.')),
                ('size', models.IntegerField(help_text='How many heads the day has.')),
                ('path', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=64), size=None)),
                ('customer', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.customer')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('customer', 'day'), name='billing_sladay_once')],
            },
        ),
        migrations.CreateModel(
            name='SlaFile',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('content', models.TextField()),
                ('customer', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.customer')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('customer', 'day'), name='billing_slafile_once')],
            },
        ),
        migrations.CreateModel(
            name='SlaMinute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('minute', models.DateTimeField(help_text='When it begins, in UTC, by when its pushes were accepted.')),
                ('valid', models.BigIntegerField(help_text='Valid pushes.')),
                ('failed_ours', models.BigIntegerField(help_text='Of them those that we failed.')),
                ('failed_provider', models.BigIntegerField()),
                ('failed_customer', models.BigIntegerField()),
                ('failed_device', models.BigIntegerField()),
                ('le_1s', models.BigIntegerField(help_text='Valid pushes handed off within 1 s.')),
                ('le_3s', models.BigIntegerField(help_text='Valid pushes handed off within 3 s.')),
                ('canary', models.CharField(help_text='good, bad, missing, or off: none is set up.', max_length=8)),
                ('verdict', models.CharField(help_text='ok, bad or excluded.', max_length=8)),
                ('reason', models.CharField(blank=True, max_length=250)),
                ('customer', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.customer')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('verdict', 'ok'), _negated=True), fields=['minute'], name='billing_slaminute_not_ok')],
                'constraints': [models.UniqueConstraint(fields=('customer', 'minute'), name='billing_slaminute_once')],
            },
        ),
        migrations.CreateModel(
            name='SlaMonth',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('month', models.DateField(help_text='Its first day.')),
                ('valid', models.BigIntegerField()),
                ('failed_ours', models.BigIntegerField()),
                ('minutes', models.IntegerField()),
                ('bad_minutes', models.IntegerField()),
                ('excluded_minutes', models.IntegerField()),
                ('by_time', models.DecimalField(decimal_places=3, max_digits=6)),
                ('by_requests', models.DecimalField(decimal_places=3, max_digits=6, null=True)),
                ('uptime', models.DecimalField(decimal_places=3, max_digits=6)),
                ('within_1s', models.DecimalField(decimal_places=3, max_digits=6, null=True)),
                ('within_3s', models.DecimalField(decimal_places=3, max_digits=6, null=True)),
                ('credit_percent', models.SmallIntegerField(help_text='Of the fee of a plan with the SLA.')),
                ('customer', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.customer')),
            ],
            options={
                'ordering': ('-month',),
                'constraints': [models.UniqueConstraint(fields=('customer', 'month'), name='billing_slamonth_once')],
            },
        ),
        migrations.RunSQL(
            FUNCTIONS
            + "".join(FENCE.format(table=table) for table in FENCED)
            + "".join(TRIGGERS.format(table=table) for table in FINAL),
            BACK + "".join(POLICIES_BACK.format(table=table) for table in FENCED),
        ),
    ]
