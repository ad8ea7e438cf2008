"""The canary, the status page's days, maintenance and incidents, and who gets mails of them: of no customer."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("billing", "0005_sla"),
        ("tenants", "0011_canary_customer"),
        ("delivery", "0012_canary_in_no_rate"),
    ]

    operations = [
        migrations.CreateModel(
            name='Subscriber',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('email', models.EmailField(max_length=254, unique=True)),
                ('confirmed_at', models.DateTimeField()),
            ],
            options={
                'ordering': ('email',),
            },
        ),
        migrations.CreateModel(
            name='CanaryMinute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(help_text='When the minute begins (UTC).')),
                ('family', models.CharField(help_text="The provider's family, or pages.", max_length=16)),
                ('good', models.BooleanField()),
                ('why', models.CharField(blank=True, help_text='Of a bad one: a code, or what happened on the way.', max_length=100)),
                ('whose', models.CharField(blank=True, choices=[('ours', 'Ours'), ('provider', 'Provider'), ('customer', 'Customer'), ('device', 'Device')], help_text='Of a bad one: whose fault it is.', max_length=8)),
                ('ms', models.IntegerField(help_text='Until the answer, or until there was none any more.')),
                ('ack_id', models.CharField(blank=True, help_text='By which the delivery log knows its push.', max_length=26)),
                ('settled', models.BooleanField(default=True, help_text='Off: the delivery log has not been asked about it yet.')),
            ],
            options={
                'verbose_name': 'canary minute',
                'ordering': ('-at', 'family'),
                'indexes': [models.Index(condition=models.Q(('settled', False)), fields=['at'], name='billing_canary_unsettled')],
                'constraints': [models.UniqueConstraint(fields=('at', 'family'), name='billing_canary_minute_once')],
            },
        ),
        migrations.CreateModel(
            name='Incident',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('title', models.CharField(max_length=160)),
                ('components', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=24), help_text='What of the service is concerned.', size=None)),
                ('published_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('impact', models.CharField(choices=[('slow', 'Slower than usual'), ('partly', 'Some pushes or pages fail'), ('down', 'Nothing goes')], max_length=8)),
                ('started_at', models.DateTimeField()),
                ('resolved_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ('-started_at',),
                'constraints': [models.CheckConstraint(condition=models.Q(('resolved_at', None), ('resolved_at__gte', models.F('started_at')), _connector='OR'), name='billing_incident_order')],
            },
        ),
        migrations.CreateModel(
            name='IncidentUpdate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('text', models.TextField(max_length=4000)),
                ('published_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('incident', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='updates', to='billing.incident')),
            ],
            options={
                'ordering': ('-at', '-id'),
            },
        ),
        migrations.CreateModel(
            name='MaintenanceWindow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('title', models.CharField(max_length=160)),
                ('components', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=24), help_text='What of the service is concerned.', size=None)),
                ('published_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('text', models.TextField(help_text='What is done, and what people will notice.', max_length=4000)),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('cancelled_at', models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                'verbose_name': 'maintenance window',
                'ordering': ('-starts_at',),
                'constraints': [models.CheckConstraint(condition=models.Q(('ends_at__gt', models.F('starts_at'))), name='billing_window_order')],
            },
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('email', models.EmailField(max_length=254)),
                ('kind', models.CharField(choices=[('window', 'Window'), ('cancelled', 'Cancelled'), ('incident', 'Incident')], max_length=9)),
                ('subject_id', models.BigIntegerField(help_text="The maintenance window's, or the incident's.")),
                ('subscriber', models.BooleanField(help_text='Whether it may be unsubscribed from.')),
                ('created_at', models.DateTimeField()),
                ('due_at', models.DateTimeField(help_text='Not before.')),
                ('tries', models.IntegerField(default=0)),
            ],
            options={
                'ordering': ('due_at', 'id'),
                'indexes': [models.Index(fields=['due_at'], name='billing_notice_due')],
            },
        ),
        migrations.CreateModel(
            name='StatusDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('component', models.CharField(max_length=24)),
                ('good', models.IntegerField()),
                ('bad', models.IntegerField()),
                ('unknown', models.IntegerField(help_text='Of which nobody knows: before the first canary.')),
            ],
            options={
                'ordering': ('-day', 'component'),
                'constraints': [models.UniqueConstraint(fields=('day', 'component'), name='billing_status_day_once')],
            },
        ),
    ]
