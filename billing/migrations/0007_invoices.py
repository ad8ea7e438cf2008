"""Invoices, their files, the ledger of amounts, drafts, and who is billed; both fences, and what is final.

Issued documents, their files and the ledger are only added to, as the audit log is; whoever forgets what the law no
longer wants kept is the owner of the tables and says so for that transaction.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models


TABLES = ("billingprofile", "invoicedraft", "invoice", "invoicefile", "ledgerentry", "invoicemail")
POLICIES = """
CREATE POLICY own ON billing_billingprofile USING (hpns_staff() OR customer_id = hpns_customer());
CREATE POLICY see ON billing_invoicedraft FOR SELECT USING (hpns_staff() OR customer_id = hpns_customer());
CREATE POLICY make ON billing_invoicedraft FOR INSERT WITH CHECK (hpns_staff());
CREATE POLICY change ON billing_invoicedraft FOR UPDATE USING (hpns_staff());
CREATE POLICY remove ON billing_invoicedraft FOR DELETE USING (hpns_staff());
CREATE POLICY see ON billing_invoice FOR SELECT USING (hpns_staff() OR customer_id = hpns_customer());
CREATE POLICY make ON billing_invoice FOR INSERT WITH CHECK (hpns_staff());
CREATE POLICY see ON billing_ledgerentry FOR SELECT USING (hpns_staff() OR customer_id = hpns_customer());
CREATE POLICY make ON billing_ledgerentry FOR INSERT WITH CHECK (hpns_staff());
CREATE POLICY see ON billing_invoicefile FOR SELECT USING (
    hpns_staff() OR invoice_id IN (SELECT id FROM billing_invoice WHERE customer_id = hpns_customer()));
CREATE POLICY make ON billing_invoicefile FOR INSERT WITH CHECK (hpns_staff());
CREATE POLICY see ON billing_invoicemail FOR SELECT USING (
    hpns_staff() OR invoice_id IN (SELECT id FROM billing_invoice WHERE customer_id = hpns_customer()));
CREATE POLICY make ON billing_invoicemail FOR INSERT WITH CHECK (hpns_staff());
"""
FINAL = """
CREATE FUNCTION billing_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' OR coalesce(current_setting('hpns.erasure', true), '') <> 'on' OR NOT pg_has_role(
        current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE'
    ) THEN
        RAISE EXCEPTION 'rows are only added to issued documents, their files and the ledger'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN OLD;
END $$;
"""
# A number is the last one and one more, in order of dates; no page of a customer counts.
COUNTER = """
CREATE FUNCTION billing_counter_is_gapless() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF hpns_customer() IS NOT NULL AND NOT hpns_staff() THEN
        RAISE EXCEPTION 'row-level security: numbers are given by staff and the service'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF (TG_OP = 'INSERT' AND NEW.last <> 0) OR (TG_OP = 'UPDATE' AND (
        NEW.last <> OLD.last + 1 OR NEW.last_on < OLD.last_on OR (NEW.series, NEW.year) <> (OLD.series, OLD.year)
    )) THEN
        RAISE EXCEPTION 'numbers go up one by one' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER gapless BEFORE INSERT OR UPDATE ON billing_invoicecounter
    FOR EACH ROW EXECUTE FUNCTION billing_counter_is_gapless();
"""
_FINAL_TABLES = ("invoice", "invoicefile", "ledgerentry")


def forward(apps, schema_editor):
    enable = "".join(f"ALTER TABLE billing_{name} ENABLE ROW LEVEL SECURITY;\n" for name in TABLES)
    triggers = "".join(
        f"""CREATE TRIGGER final BEFORE UPDATE OR DELETE ON billing_{name}
                FOR EACH ROW EXECUTE FUNCTION billing_is_final();
            CREATE TRIGGER final_as_a_whole BEFORE TRUNCATE ON billing_{name}
                FOR EACH STATEMENT EXECUTE FUNCTION billing_is_final();"""
        for name in _FINAL_TABLES
    )
    schema_editor.execute(enable + POLICIES + FINAL + triggers + COUNTER, params=None)


def back(apps, schema_editor):
    """The tables go with their policies and triggers; the functions have to wait for them."""


def drop_functions(apps, schema_editor):
    schema_editor.execute("DROP FUNCTION billing_is_final(); DROP FUNCTION billing_counter_is_gapless();", params=None)


def nothing(apps, schema_editor):
    """Forward, the functions are made with the triggers."""


class Migration(migrations.Migration):

    dependencies = [
        ("billing", "0006_incidents"),
        ('tenants', '0008_rejections'),
    ]

    operations = [
        migrations.RunPython(nothing, drop_functions),
        migrations.CreateModel(
            name='BillingProfile',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=200)),
                ('address', models.CharField(help_text='Street and number; lines are kept.', max_length=300)),
                ('postcode', models.CharField(blank=True, max_length=20)),
                ('city', models.CharField(max_length=100)),
                ('country', models.CharField(help_text='ISO 3166: DE, US, ...', max_length=2)),
                ('vat_id', models.CharField(blank=True, max_length=20)),
                ('reference', models.CharField(blank=True, help_text='What the customer wants to read on it.', max_length=100)),
                ('emails', django.contrib.postgres.fields.ArrayField(base_field=models.EmailField(max_length=254), default=list, size=None)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('customer', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='billing_profile', to='tenants.customer')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Invoice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('invoice', 'Invoice'), ('credit_note', 'credit note'), ('statement', 'Statement')], max_length=11)),
                ('series', models.CharField(max_length=3)),
                ('year', models.PositiveSmallIntegerField()),
                ('sequence', models.PositiveIntegerField()),
                ('number', models.CharField(max_length=20, unique=True)),
                ('customer_id', models.BigIntegerField()),
                ('customer_name', models.CharField(max_length=200)),
                ('subscription_id', models.BigIntegerField(null=True)),
                ('step_on', models.DateField(help_text="The draft's `ready_on`, by which it is not drafted again.", null=True)),
                ('issued_at', models.DateTimeField()),
                ('due_on', models.DateField(null=True)),
                ('currency', models.CharField(max_length=3)),
                ('net_minor', models.BigIntegerField()),
                ('tax_minor', models.BigIntegerField()),
                ('gross_minor', models.BigIntegerField()),
                ('document', models.JSONField()),
                ('corrects', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='credit_notes', to='billing.invoice')),
            ],
            options={
                'ordering': ('-issued_at', '-id'),
            },
        ),
        migrations.CreateModel(
            name='InvoiceCounter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('series', models.CharField(max_length=3)),
                ('year', models.PositiveSmallIntegerField()),
                ('last', models.PositiveIntegerField(default=0)),
                ('last_on', models.DateField(help_text='The date of the last document: numbers and dates go up together.')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('series', 'year'), name='billing_counter_once')],
            },
        ),
        migrations.CreateModel(
            name='InvoiceDraft',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('invoice', 'Invoice'), ('credit_note', 'credit note'), ('statement', 'Statement')], default='invoice', max_length=11)),
                ('subscription_id', models.BigIntegerField(null=True)),
                ('ready_on', models.DateField(help_text='The day from which it can be issued: nothing in it changes from then on.')),
                ('currency', models.CharField(max_length=3)),
                ('payment_days', models.PositiveSmallIntegerField(default=30)),
                ('lines', models.JSONField(default=list)),
                ('extra', models.JSONField(default=list)),
                ('computed_at', models.DateTimeField()),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='invoice_drafts', to='tenants.customer')),
            ],
            options={
                'ordering': ('ready_on', 'id'),
            },
        ),
        migrations.CreateModel(
            name='InvoiceFile',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('content', models.BinaryField()),
                ('sha256', models.CharField(max_length=64)),
                ('e_invoice', models.BooleanField(help_text='Whether it carries an e-invoice (Factur-X) and is a PDF/A-3.')),
                ('invoice', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='file', to='billing.invoice')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='InvoiceMail',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', models.EmailField(max_length=254)),
                ('sent_at', models.DateTimeField()),
                ('invoice', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='mails', to='billing.invoice')),
            ],
            options={
                'ordering': ('sent_at', 'id'),
            },
        ),
        migrations.CreateModel(
            name='LedgerEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('batch', models.UUIDField(default=uuid.uuid4)),
                ('at', models.DateTimeField()),
                ('customer_id', models.BigIntegerField()),
                ('account', models.CharField(choices=[('invoice', 'Invoice'), ('balance', 'Balance'), ('credit', 'Credit')], max_length=7)),
                ('kind', models.CharField(choices=[('payment', 'Payment'), ('refund', 'Refund'), ('credit_note', 'credit note'), ('balance', 'paid out of the balance'), ('sla_credit', 'SLA credit'), ('sla_credit_used', 'SLA credit used')], max_length=15)),
                ('currency', models.CharField(max_length=3)),
                ('amount_minor', models.BigIntegerField()),
                ('month', models.DateField(help_text='The first day of the month that an SLA credit is for.', null=True)),
                ('percent', models.PositiveSmallIntegerField(null=True)),
                ('root', models.CharField(blank=True, help_text="The month's last root of the SLA's ledger.", max_length=64)),
                ('provider', models.CharField(blank=True, max_length=16)),
                ('reference', models.CharField(blank=True, max_length=140)),
                ('note', models.CharField(blank=True, max_length=300)),
                ('actor', models.CharField(max_length=254)),
                ('invoice', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='billing.invoice')),
            ],
            options={
                'verbose_name_plural': 'ledger entries',
                'ordering': ('-at', '-id'),
            },
        ),
        migrations.AddIndex(
            model_name='invoice',
            index=models.Index(fields=['customer_id', '-issued_at'], name='billing_invoice_by_customer'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.UniqueConstraint(fields=('series', 'year', 'sequence'), name='billing_invoice_gapless'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.UniqueConstraint(condition=models.Q(('step_on__isnull', False), ('subscription_id__isnull', False)), fields=('customer_id', 'kind', 'subscription_id', 'step_on'), name='billing_invoice_once'),
        ),
        migrations.AddConstraint(
            model_name='invoicedraft',
            constraint=models.UniqueConstraint(condition=models.Q(('subscription_id__isnull', False)), fields=('customer', 'kind', 'subscription_id', 'ready_on'), name='billing_draft_once'),
        ),
        migrations.AddConstraint(
            model_name='invoicemail',
            constraint=models.UniqueConstraint(fields=('invoice', 'address'), name='billing_mailed_once'),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(fields=['customer_id', 'account'], name='billing_ledger_by_customer'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(('amount_minor', 0), _negated=True), name='billing_ledger_some_amount'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('account', 'invoice'), _negated=True), ('invoice__isnull', False), _connector='OR'), name='billing_ledger_names_invoice'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('account', 'credit'), _negated=True), ('month__isnull', False), _connector='OR'), name='billing_ledger_names_month'),
        ),
        migrations.RunPython(forward, back),
    ]
