"""Usage by month: what was counted, mails about quotas, and limits. Pages read it alone; closed months are final."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


TABLES = ("usagemonth", "usagecorrection", "usagerunning", "usagenotice", "usagelimit")
FINAL_TABLES = ("usagemonth", "usagecorrection")
FENCE = "".join(
    f"""
ALTER TABLE billing_{table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON billing_{table} FOR SELECT
    USING (customer_id >= hpns_first_customer() AND customer_id <= hpns_last_customer());
"""
    for table in TABLES
)
# Not even the owner of the tables changes a closed month by accident: whoever erases a customer says so for that
# transaction, as for the audit log.
FINAL = """
CREATE FUNCTION billing_usage_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' OR coalesce(current_setting('hpns.erasure', true), '') <> 'on' OR NOT pg_has_role(
        current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE'
    ) THEN
        RAISE EXCEPTION 'closed months are only added, and corrected by rows of their own'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN OLD;
END $$;
""" + "".join(
    f"""
CREATE TRIGGER final BEFORE UPDATE OR DELETE ON billing_{table}
    FOR EACH ROW EXECUTE FUNCTION billing_usage_is_final();
CREATE TRIGGER final_as_a_whole BEFORE TRUNCATE ON billing_{table}
    FOR EACH STATEMENT EXECUTE FUNCTION billing_usage_is_final();
"""
    for table in FINAL_TABLES
)
BACK = "".join(f"DROP POLICY own ON billing_{table};" for table in TABLES)
NOT_FINAL = (
    "".join(
        f"DROP TRIGGER final ON billing_{table}; DROP TRIGGER final_as_a_whole ON billing_{table};"
        for table in FINAL_TABLES
    )
    + "DROP FUNCTION billing_usage_is_final();"
)


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0003_subscriptions"),
        ('tenants', '0008_rejections'),
        ('delivery', '0009_rates_of_many_customers'),
    ]

    operations = [
        migrations.CreateModel(
            name='UsageRunning',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('pushes', models.BigIntegerField(help_text='Billable: no tests, nothing that was refused.')),
                ('devices', models.BigIntegerField(help_text='Active ones, counted once for each server that reached them.')),
                ('phones', models.BigIntegerField(help_text='Active ones, counted once.')),
                ('servers', models.IntegerField(help_text='Different proven server_ids; without any those that were seen.')),
                ('seats', models.IntegerField(blank=True, help_text='Users of the licence.', null=True)),
                ('by_server', models.JSONField(default=list)),
                ('by_day', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, help_text='Pushes.', size=None)),
                ('devices_by_day', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None)),
                ('included_pushes', models.BigIntegerField(blank=True, null=True)),
                ('included_devices', models.BigIntegerField(blank=True, null=True)),
                ('included_servers', models.IntegerField(blank=True, null=True)),
                ('percent', models.IntegerField(blank=True, help_text='Of what is included, the highest share.', null=True)),
                ('month', models.DateField(help_text='Its first day.')),
                ('at', models.DateTimeField(help_text='When it was counted.')),
                ('settled_until', models.DateField(help_text='The days before it are in settled_by_server.', null=True)),
                ('settled_by_server', models.JSONField(default=list, help_text='Pushes of those days: pairs of server and count.')),
                ('customer', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.customer')),
            ],
            options={
                'verbose_name': 'usage of the running month',
                'verbose_name_plural': 'usage of the running month',
                'ordering': (models.OrderBy(models.F('percent'), descending=True, nulls_last=True), '-pushes', 'customer_id'),
            },
        ),
        migrations.CreateModel(
            name='UsageCorrection',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('pushes', models.BigIntegerField(help_text='Billable: no tests, nothing that was refused.')),
                ('devices', models.BigIntegerField(help_text='Active ones, counted once for each server that reached them.')),
                ('phones', models.BigIntegerField(help_text='Active ones, counted once.')),
                ('servers', models.IntegerField(help_text='Different proven server_ids; without any those that were seen.')),
                ('seats', models.IntegerField(blank=True, help_text='Users of the licence.', null=True)),
                ('by_server', models.JSONField(default=list)),
                ('by_day', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, help_text='Pushes.', size=None)),
                ('devices_by_day', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None)),
                ('month', models.DateField(help_text='Its first day.')),
                ('at', models.DateTimeField()),
                ('pushes_before', models.BigIntegerField()),
                ('devices_before', models.BigIntegerField()),
                ('reason', models.TextField()),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.customer')),
            ],
            options={
                'verbose_name': 'correction of a closed month',
                'verbose_name_plural': 'corrections of closed months',
                'ordering': ('-at', '-id'),
                'indexes': [models.Index(fields=['customer', 'month'], name='billing_usagecorrection_month')],
            },
        ),
        migrations.CreateModel(
            name='UsageLimit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('month', models.DateField(help_text='Its first day.')),
                ('began_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('rate', models.IntegerField(help_text='Pushes a second, as lowered.')),
                ('burst', models.IntegerField()),
                ('rate_before', models.IntegerField(blank=True, null=True)),
                ('burst_before', models.IntegerField(blank=True, null=True)),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.customer')),
            ],
            options={
                'ordering': ('-began_at',),
                'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('customer',), name='billing_usagelimit_one_in_force')],
            },
        ),
        migrations.CreateModel(
            name='UsageMonth',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('pushes', models.BigIntegerField(help_text='Billable: no tests, nothing that was refused.')),
                ('devices', models.BigIntegerField(help_text='Active ones, counted once for each server that reached them.')),
                ('phones', models.BigIntegerField(help_text='Active ones, counted once.')),
                ('servers', models.IntegerField(help_text='Different proven server_ids; without any those that were seen.')),
                ('seats', models.IntegerField(blank=True, help_text='Users of the licence.', null=True)),
                ('by_server', models.JSONField(default=list)),
                ('by_day', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, help_text='Pushes.', size=None)),
                ('devices_by_day', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None)),
                ('included_pushes', models.BigIntegerField(blank=True, null=True)),
                ('included_devices', models.BigIntegerField(blank=True, null=True)),
                ('included_servers', models.IntegerField(blank=True, null=True)),
                ('percent', models.IntegerField(blank=True, help_text='Of what is included, the highest share.', null=True)),
                ('month', models.DateField(help_text='Its first day.')),
                ('closed_at', models.DateTimeField()),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.customer')),
            ],
            options={
                'verbose_name': 'usage of a closed month',
                'verbose_name_plural': 'usage of closed months',
                'ordering': ('-month', 'customer_id'),
                'constraints': [models.UniqueConstraint(fields=('customer', 'month'), name='billing_usagemonth_once')],
            },
        ),
        migrations.CreateModel(
            name='UsageNotice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('month', models.DateField(help_text='Its first day.')),
                ('measure', models.CharField(max_length=16)),
                ('step', models.CharField(max_length=16)),
                ('at', models.DateTimeField()),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.customer')),
            ],
            options={
                'ordering': ('-at',),
                'constraints': [models.UniqueConstraint(fields=('customer', 'month', 'measure', 'step'), name='billing_usagenotice_once')],
            },
        ),
        migrations.RunSQL(FENCE, BACK),
        migrations.RunSQL(FINAL, NOT_FINAL),
    ]
