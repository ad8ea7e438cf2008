"""Licences that customers have proven and that staff vouch for, and cases about them, behind the second fence.

What is proven is never rewritten: a customer's page adds a proof, says its server, and ends it. Staff alone vouch, and
resolve cases; policies cannot tell columns apart, so triggers do.
"""

import django.db.models.deletion
from django.db import migrations, models

FENCE = """
ALTER TABLE billing_licenceproof ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON billing_licenceproof USING (hpns_staff() OR customer_id = hpns_customer())
    WITH CHECK ((hpns_staff() OR customer_id = hpns_customer()) AND (server_id IS NULL OR server_id IN (
        SELECT id FROM tenants_server s WHERE s.customer_id = billing_licenceproof.customer_id)));
ALTER TABLE billing_licencecase ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON billing_licencecase USING (hpns_staff() OR customer_id = hpns_customer())
    WITH CHECK ((hpns_staff() OR customer_id = hpns_customer()) AND (server_id IS NULL OR server_id IN (
        SELECT id FROM tenants_server s WHERE s.customer_id = billing_licencecase.customer_id)));
"""
GUARDS = """
CREATE FUNCTION billing_by_staff() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF row_security_active(TG_RELID) AND NOT hpns_staff() THEN
        RAISE EXCEPTION 'row-level security: staff vouch for licences and resolve cases'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER vouched BEFORE INSERT OR UPDATE OF vouched, reason ON billing_licenceproof FOR EACH ROW
    WHEN (NEW.vouched) EXECUTE FUNCTION billing_by_staff();
CREATE TRIGGER resolved BEFORE INSERT OR UPDATE ON billing_licencecase FOR EACH ROW
    WHEN (NEW.resolved_at IS NOT NULL) EXECUTE FUNCTION billing_by_staff();
CREATE FUNCTION billing_proof_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
        RAISE EXCEPTION 'row-level security: what a licence says is not rewritten, and what has ended stays so'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER final BEFORE UPDATE ON billing_licenceproof FOR EACH ROW
    WHEN (OLD.ended_at IS NOT NULL OR (
        OLD.customer_id, OLD.issuer, OLD.licence_id, OLD.company, OLD.sku, OLD.users, OLD.push_limit, OLD.is_trial,
        OLD.issued_at, OLD.starts_at, OLD.expires_at, OLD.digest, OLD.vouched, OLD.reason, OLD.created_at
    ) IS DISTINCT FROM (
        NEW.customer_id, NEW.issuer, NEW.licence_id, NEW.company, NEW.sku, NEW.users, NEW.push_limit, NEW.is_trial,
        NEW.issued_at, NEW.starts_at, NEW.expires_at, NEW.digest, NEW.vouched, NEW.reason, NEW.created_at))
    EXECUTE FUNCTION billing_proof_is_final();
"""
BACK = """
DROP TRIGGER vouched ON billing_licenceproof;
DROP TRIGGER final ON billing_licenceproof;
DROP TRIGGER resolved ON billing_licencecase;
DROP FUNCTION billing_by_staff();
DROP FUNCTION billing_proof_is_final();
DROP POLICY own ON billing_licenceproof;
DROP POLICY own ON billing_licencecase;
"""


class Migration(migrations.Migration):

    dependencies = [
        ("billing", "0001_initial"),
        ('tenants', '0008_rejections'),
    ]

    operations = [
        migrations.CreateModel(
            name='LicenceCase',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('issuer', models.CharField(blank=True, help_text='Whose key its signature is good by.', max_length=64)),
                ('licence_id', models.CharField(blank=True, max_length=26, verbose_name='licence id')),
                ('company', models.CharField(blank=True, max_length=200)),
                ('sku', models.CharField(blank=True, help_text='The short name in the licence.', max_length=64, verbose_name='plan')),
                ('users', models.PositiveIntegerField(default=0)),
                ('push_limit', models.BigIntegerField(blank=True, help_text='Pushes a month, where the licence says so.', null=True)),
                ('is_trial', models.BooleanField(default=False, verbose_name='trial')),
                ('issued_at', models.DateTimeField(blank=True, null=True)),
                ('starts_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('digest', models.CharField(blank=True, max_length=64, verbose_name='SHA-256 of the file')),
                ('kind', models.CharField(choices=[('double_use', 'In use by another account'), ('unknown_plan', 'A plan that is not known')], max_length=16)),
                ('attempts', models.PositiveIntegerField(default=1, help_text='How often the customer has sent it.')),
                ('first_at', models.DateTimeField()),
                ('last_at', models.DateTimeField()),
                ('resolved_at', models.DateTimeField(blank=True, null=True)),
                ('resolution', models.CharField(blank=True, choices=[('kept', 'It stays with the other account'), ('moved', "It is this account's from now on"), ('closed', 'Nothing was changed')], max_length=8)),
                ('note', models.CharField(blank=True, help_text='The customer sees it.', max_length=300)),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='%(class)ss', to='tenants.customer')),
                ('server', models.ForeignKey(blank=True, help_text='The one server that it is used for; empty: not said yet.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='%(class)ss', to='tenants.server')),
            ],
            options={
                'verbose_name': 'licence case',
                'ordering': ('-last_at',),
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(condition=models.Q(('resolved_at', None)), fields=('customer', 'issuer', 'licence_id', 'kind'), name='billing_licence_case_once')],
            },
        ),
        migrations.CreateModel(
            name='LicenceProof',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('issuer', models.CharField(blank=True, help_text='Whose key its signature is good by.', max_length=64)),
                ('licence_id', models.CharField(blank=True, max_length=26, verbose_name='licence id')),
                ('company', models.CharField(blank=True, max_length=200)),
                ('sku', models.CharField(blank=True, help_text='The short name in the licence.', max_length=64, verbose_name='plan')),
                ('users', models.PositiveIntegerField(default=0)),
                ('push_limit', models.BigIntegerField(blank=True, help_text='Pushes a month, where the licence says so.', null=True)),
                ('is_trial', models.BooleanField(default=False, verbose_name='trial')),
                ('issued_at', models.DateTimeField(blank=True, null=True)),
                ('starts_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('digest', models.CharField(blank=True, max_length=64, verbose_name='SHA-256 of the file')),
                ('vouched', models.BooleanField(default=False, help_text='Staff answer for it: no file has proven it.')),
                ('reason', models.CharField(blank=True, help_text='Why staff vouch for it; the customer sees it.', max_length=300)),
                ('site_agreed_at', models.DateTimeField(blank=True, help_text='When the server itself said the same of its licence; empty: it has not yet.', null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('end_reason', models.CharField(blank=True, max_length=300)),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='%(class)ss', to='tenants.customer')),
                ('server', models.ForeignKey(blank=True, help_text='The one server that it is used for; empty: not said yet.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='%(class)ss', to='tenants.server')),
            ],
            options={
                'verbose_name': 'licence',
                'ordering': ('-created_at', '-id'),
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['customer', 'expires_at'], name='billing_licence_by_customer')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at', None), models.Q(('licence_id', ''), _negated=True)), fields=('issuer', 'licence_id'), name='billing_licence_proof_once'), models.CheckConstraint(condition=models.Q(models.Q(('vouched', True), models.Q(('reason', ''), _negated=True)), models.Q(('vouched', False), models.Q(('issuer', ''), _negated=True), models.Q(('licence_id', ''), _negated=True), models.Q(('digest', ''), _negated=True)), _connector='OR'), name='billing_licence_proven_or_vouched'), models.CheckConstraint(condition=models.Q(('expires_at__gt', models.F('starts_at'))), name='billing_licence_dates')],
            },
        ),
        migrations.RunSQL(FENCE + GUARDS, BACK),
    ]
