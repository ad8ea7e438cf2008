"""Who servers are: the documents of their sites, the keys that their pushes are signed with, and what was found."""

import django.db.models.deletion
from django.db import migrations, models


FENCE = """
ALTER TABLE tenants_site ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tenants_site USING (
    hpns_staff() OR server_id IN (SELECT id FROM tenants_server WHERE customer_id = hpns_customer()));
ALTER TABLE tenants_proof ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tenants_proof USING (
    hpns_staff() OR key_id IN (
        SELECT k.id FROM tenants_serverkey k JOIN tenants_server s ON s.id = k.server_id
        WHERE s.customer_id = hpns_customer()));
ALTER TABLE tenants_finding ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tenants_finding USING (
    hpns_staff() OR server_id IN (SELECT id FROM tenants_server WHERE customer_id = hpns_customer()));
"""
NO_FENCE = "".join(f"DROP POLICY own ON tenants_{name};" for name in ("site", "proof", "finding"))


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0008_rejections'),
    ]

    operations = [
        migrations.CreateModel(
            name='Finding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('changed_key', 'Signing key changed'), ('leaked_key', 'Key used by another installation'), ('restored_backup', 'Same installation under another server ID'), ('clone', 'Same installation at another site'), ('replayed', "Signature of another customer's push"), ('contested', 'Server ID proven by two customers'), ('other_id', 'The site has another server ID than before')], max_length=16)),
                ('mattermost_id', models.CharField(max_length=64)),
                ('other', models.CharField(blank=True, max_length=300)),
                ('first_at', models.DateTimeField()),
                ('last_at', models.DateTimeField()),
                ('told_at', models.DateTimeField(blank=True, help_text='When it was told by e-mail.', null=True)),
                ('settled_at', models.DateTimeField(blank=True, help_text='When it was found to be over.', null=True)),
                ('key', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='findings', to='tenants.serverkey')),
                ('server', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='findings', to='tenants.server')),
            ],
            options={
                'ordering': ('-last_at',),
                'constraints': [models.UniqueConstraint(fields=('server', 'kind', 'mattermost_id', 'other'), name='tenants_finding_once')],
            },
        ),
        migrations.CreateModel(
            name='Proof',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mattermost_id', models.CharField(max_length=64)),
                ('public_key', models.CharField(blank=True, max_length=400)),
                ('how', models.CharField(blank=True, choices=[('fetched', 'The site, which we fetched'), ('pasted', 'Documents that were pasted'), ('recovered', 'Two of its pushes: trusted on first use'), ('same_key', 'The same server under an earlier server ID')], max_length=10)),
                ('proven_at', models.DateTimeField(blank=True, null=True)),
                ('verified_at', models.DateTimeField(blank=True, help_text='To the minute.', null=True)),
                ('last', models.CharField(choices=[('verified', 'verified'), ('unsigned', 'carries no signature'), ('bad', 'has a signature of another push, or none that can be read'), ('other', 'is signed with another key'), ('replayed', "repeats the signature of another customer's push"), ('waiting', 'is signed with a key that is not known yet')], max_length=10)),
                ('last_at', models.DateTimeField(help_text='To the minute.')),
                ('waiting', models.BinaryField(max_length=96, null=True, editable=False)),
                ('tries', models.PositiveSmallIntegerField(default=0, help_text='Pushes that a key could not be recovered from.')),
                ('key', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='proofs', to='tenants.serverkey')),
            ],
            options={
                'ordering': ('key', '-last_at'),
                'indexes': [models.Index(fields=['mattermost_id'], name='tenants_proof_id')],
                'constraints': [models.UniqueConstraint(fields=('key', 'mattermost_id'), name='tenants_proof_once'), models.CheckConstraint(condition=models.Q(('proven_at__isnull', True), models.Q(models.Q(('public_key', ''), _negated=True), models.Q(('how', ''), _negated=True)), _connector='OR'), name='tenants_proof_has_key')],
            },
        ),
        migrations.CreateModel(
            name='Site',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', models.CharField(blank=True, help_text='Where it is fetched, without https://; empty: it is not.', max_length=300)),
                ('how', models.CharField(choices=[('fetched', 'Fetched'), ('pasted', 'Pasted')], max_length=8)),
                ('mattermost_id', models.CharField(blank=True, help_text='DiagnosticId: the server_id of its pushes.', max_length=64)),
                ('public_key', models.CharField(blank=True, help_text='Its pushes are signed with the private half.', max_length=400)),
                ('site_url', models.CharField(blank=True, max_length=300)),
                ('version', models.CharField(blank=True, max_length=40)),
                ('licensed', models.BooleanField(default=False)),
                ('trial', models.BooleanField(default=False)),
                ('sku', models.CharField(blank=True, max_length=40)),
                ('company', models.CharField(blank=True, max_length=200)),
                ('users', models.PositiveIntegerField(blank=True, null=True)),
                ('fetched_at', models.DateTimeField(blank=True, help_text='When the documents were read last.', null=True)),
                ('asked_at', models.DateTimeField(blank=True, help_text='When the site was asked last.', null=True)),
                ('problem', models.CharField(blank=True, help_text='Why it could not be read then; empty: it was.', max_length=300)),
                ('due_at', models.DateTimeField(blank=True, help_text='When it is fetched again; empty: never by itself.', null=True)),
                ('server', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='site', to='tenants.server')),
            ],
            options={
                'indexes': [models.Index(fields=['due_at'], name='tenants_site_due'), models.Index(fields=['mattermost_id'], name='tenants_site_id')],
                'constraints': [models.CheckConstraint(condition=models.Q(('how__in', ('fetched', 'pasted'))), name='tenants_site_how')],
            },
        ),
        migrations.RunSQL(FENCE, NO_FENCE),
    ]
