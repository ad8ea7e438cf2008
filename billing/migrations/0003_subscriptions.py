"""Plans, subscriptions and what is kept of each; both fences, what is final, and the plans to begin with."""

import django.db.models.deletion
from django.db import migrations, models

TABLES = ("subscription", "override", "planchange", "laststanding", "subscriptionmail")
OF_SUBSCRIPTION = "subscription_id IN (SELECT id FROM billing_subscription WHERE customer_id = hpns_customer())"
POLICIES = f"""
CREATE POLICY own ON billing_subscription USING (hpns_staff() OR customer_id = hpns_customer());
CREATE POLICY own ON billing_laststanding USING (hpns_staff() OR {OF_SUBSCRIPTION});
CREATE POLICY see ON billing_planchange FOR SELECT USING (hpns_staff() OR {OF_SUBSCRIPTION});
CREATE POLICY make ON billing_planchange FOR INSERT WITH CHECK (hpns_staff() OR {OF_SUBSCRIPTION});
-- Served by way of grace, and what was mailed: to be read by the customer.
CREATE POLICY see ON billing_override FOR SELECT USING (hpns_staff() OR {OF_SUBSCRIPTION});
CREATE POLICY make ON billing_override FOR INSERT WITH CHECK (hpns_staff());
CREATE POLICY change ON billing_override FOR UPDATE USING (hpns_staff());
CREATE POLICY see ON billing_subscriptionmail FOR SELECT USING (hpns_staff() OR {OF_SUBSCRIPTION});
"""

# What owners change by themselves is when it ends, and to a listed plan on that plan's basis; they start no other.
TERMS = """
CREATE FUNCTION billing_subscription_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF row_security_active(TG_RELID) AND NOT hpns_staff() AND NOT (
        CASE WHEN TG_OP = 'INSERT' THEN NEW.trial_ends_at IS NULL
        ELSE (OLD.customer_id, OLD.starts_at, OLD.trial_ends_at)
            IS NOT DISTINCT FROM (NEW.customer_id, NEW.starts_at, NEW.trial_ends_at) END
        AND (
            CASE WHEN TG_OP = 'INSERT' THEN false
            ELSE (OLD.version_id, OLD.basis) IS NOT DISTINCT FROM (NEW.version_id, NEW.basis) END
            OR EXISTS (
                SELECT FROM billing_planversion v JOIN billing_plan p ON p.id = v.plan_id
                WHERE v.id = NEW.version_id AND p.listed AND p.basis = NEW.basis)))
    THEN
        RAISE EXCEPTION 'row-level security: what a customer subscribes to is a listed plan, or given by staff'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER terms BEFORE INSERT OR UPDATE ON billing_subscription
    FOR EACH ROW EXECUTE FUNCTION billing_subscription_terms();
"""

# Prices are everybody's to read; pages that are not the staff's change none, and nobody what somebody has.
FINAL = """
CREATE FUNCTION billing_plan_is_for_staff() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF row_security_active('tenants_customer'::regclass) AND NOT hpns_staff() THEN
        RAISE EXCEPTION 'row-level security: plans are changed by staff' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER staff BEFORE INSERT OR UPDATE OR DELETE ON billing_plan
    FOR EACH STATEMENT EXECUTE FUNCTION billing_plan_is_for_staff();
CREATE TRIGGER staff BEFORE INSERT OR UPDATE OR DELETE ON billing_planversion
    FOR EACH STATEMENT EXECUTE FUNCTION billing_plan_is_for_staff();
CREATE FUNCTION billing_planversion_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM billing_subscription WHERE version_id = OLD.id)
        OR EXISTS (SELECT FROM billing_planchange WHERE OLD.id IN (before_id, after_id))
    THEN
        RAISE EXCEPTION 'a version of a plan that a subscription has, or had, is never changed: add another version'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER final BEFORE UPDATE OR DELETE ON billing_planversion
    FOR EACH ROW EXECUTE FUNCTION billing_planversion_is_final();
"""
BACK = """
DROP TRIGGER final ON billing_planversion;
DROP TRIGGER staff ON billing_planversion;
DROP TRIGGER staff ON billing_plan;
DROP TRIGGER terms ON billing_subscription;
DROP FUNCTION billing_planversion_is_final();
DROP FUNCTION billing_plan_is_for_staff();
DROP FUNCTION billing_subscription_terms();
"""

# Code, name, description, basis, offer, listed, and the first version's fields. Prices are in cents; an operator who
# has others adds versions before the first customer comes.
PLANS = (
    (
        ("e1", "E1 included", "Included with a Mattermost E1 licence.", "licence", "hpns", False),
        {"period_months": 12, "sla": True},
    ),
    (
        ("hpns", "HPNS stand-alone", "The official apps, with the SLA.", "paid", "hpns", True),
        {"price_minor": 49_900, "included_devices": 1_000, "device_price_minor": 40, "sla": True},
    ),
    (
        ("hpns-year", "HPNS stand-alone, by the year", "The same for a year: two months free.", "paid", "hpns", True),
        {
            "price_minor": 499_000,
            "period_months": 12,
            "included_devices": 1_000,
            "device_price_minor": 40,
            "sla": True,
        },
    ),
    (
        ("eas", "EAS", "Apps of your own, signed with your own keys, with the SLA.", "paid", "eas", True),
        {"price_minor": 79_900, "included_devices": 1_000, "device_price_minor": 40, "sla": True},
    ),
    (
        ("trial", "Trial", "Everything, for a time, without a promise.", "trial", "hpns", False),
        {"included_devices": 1_000},
    ),
    (
        ("free", "Free (TPNS)", "For trying out: tight limits and no promise.", "free", "tpns", False),
        {"included_pushes": 10_000},
    ),
)


def seed(apps, schema_editor):
    """The plans to begin with; those that are there stay as they are."""
    plan, version = apps.get_model("billing", "Plan"), apps.get_model("billing", "PlanVersion")
    for (code, name, description, basis, offer, listed), terms in PLANS:
        row, created = plan.objects.get_or_create(
            code=code,
            defaults={
                "name": name,
                "description": description,
                "basis": basis,
                "offer": offer,
                "listed": listed,
            },
        )
        if created:
            version.objects.create(plan=row, version=1, currency="EUR", **terms)


def fence(apps, schema_editor):
    enable = "".join(f"ALTER TABLE billing_{name} ENABLE ROW LEVEL SECURITY;\n" for name in TABLES)
    schema_editor.execute(enable + POLICIES + TERMS + FINAL, params=None)


def unfence(apps, schema_editor):
    schema_editor.execute(BACK, params=None)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("billing", "0002_licences"),
        ("tenants", "0010_entitlement_standing"),
    ]

    operations = [
        migrations.CreateModel(
            name="Plan",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.SlugField(help_text="The name in commands; it stays.", max_length=32, unique=True)),
                ("name", models.CharField(max_length=100)),
                (
                    "description",
                    models.CharField(blank=True, help_text="One sentence for the customer.", max_length=300),
                ),
                (
                    "basis",
                    models.CharField(
                        choices=[("licence", "licence"), ("paid", "paid"), ("trial", "trial"), ("free", "free")],
                        max_length=8,
                    ),
                ),
                ("offer", models.CharField(choices=[("hpns", "HPNS"), ("eas", "EAS"), ("tpns", "TPNS")], max_length=8)),
                ("listed", models.BooleanField(default=False, help_text="Owners may change to it by themselves.")),
            ],
            options={
                "ordering": ("code",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("basis__in", ["licence", "paid", "trial", "free"])),
                        name="billing_plan_basis",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("offer__in", ["hpns", "eas", "tpns"])), name="billing_plan_offer"
                    ),
                    models.CheckConstraint(condition=models.Q(("name", ""), _negated=True), name="billing_plan_name"),
                ],
            },
        ),
        migrations.CreateModel(
            name="PlanVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.PositiveIntegerField()),
                (
                    "currency",
                    models.CharField(
                        choices=[
                            ("EUR", "EUR"),
                            ("USD", "USD"),
                            ("GBP", "GBP"),
                            ("CHF", "CHF"),
                            ("CAD", "CAD"),
                            ("AUD", "AUD"),
                        ],
                        default="EUR",
                        max_length=3,
                    ),
                ),
                ("price_minor", models.PositiveIntegerField(default=0, help_text="For each period, in cents.")),
                (
                    "period_months",
                    models.PositiveSmallIntegerField(choices=[(1, "a month"), (12, "a year")], default=1),
                ),
                (
                    "included_devices",
                    models.PositiveIntegerField(blank=True, help_text="Active devices a month.", null=True),
                ),
                (
                    "included_pushes",
                    models.PositiveIntegerField(blank=True, help_text="Billable pushes a month.", null=True),
                ),
                ("included_servers", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "device_price_minor",
                    models.PositiveIntegerField(
                        default=0, help_text="For each active device beyond those included, a month, in cents."
                    ),
                ),
                ("sla", models.BooleanField(default=False, help_text="The plan has the SLA (sla-1).")),
                ("trial_days", models.PositiveSmallIntegerField(default=30)),
                (
                    "payment_days",
                    models.PositiveSmallIntegerField(default=30, help_text="From an invoice's issue to its due date."),
                ),
                (
                    "restricted_after",
                    models.PositiveSmallIntegerField(default=30, help_text="Days after a due date or licence's end."),
                ),
                ("suspended_after", models.PositiveSmallIntegerField(default=45, help_text="Days after the same.")),
                ("ended_after", models.PositiveSmallIntegerField(default=90, help_text="Days after the same.")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="versions", to="billing.plan"
                    ),
                ),
            ],
            options={
                "ordering": ("plan__code", "-version"),
            },
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "basis",
                    models.CharField(
                        choices=[("licence", "licence"), ("paid", "paid"), ("trial", "trial"), ("free", "free")],
                        max_length=8,
                    ),
                ),
                ("starts_at", models.DateTimeField()),
                ("trial_ends_at", models.DateTimeField(blank=True, null=True)),
                ("anchor_at", models.DateTimeField(help_text="Periods begin at this moment of each month or year.")),
                ("cancel_at", models.DateTimeField(blank=True, null=True)),
                (
                    "offer_pending",
                    models.BooleanField(
                        default=True, help_text="The plan's offer is yet to be given: when it has begun, by who may."
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="subscriptions", to="tenants.customer"
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="subscriptions",
                        to="billing.planversion",
                    ),
                ),
            ],
            options={
                "ordering": ("customer", "starts_at", "id"),
            },
        ),
        migrations.CreateModel(
            name="PlanChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                (
                    "period_start",
                    models.DateTimeField(help_text="The period that the amount is a share of.", null=True),
                ),
                ("period_end", models.DateTimeField(null=True)),
                ("amount_minor", models.IntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("actor", models.CharField(max_length=254)),
                (
                    "after",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="billing.planversion"
                    ),
                ),
                (
                    "before",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="billing.planversion"
                    ),
                ),
                (
                    "subscription",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="changes", to="billing.subscription"
                    ),
                ),
            ],
            options={
                "ordering": ("-at", "-id"),
            },
        ),
        migrations.CreateModel(
            name="Override",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("until", models.DateTimeField()),
                ("reason", models.CharField(help_text="The customer can read it.", max_length=300)),
                (
                    "actor",
                    models.CharField(
                        help_text="The person's e-mail address, or the name of the command.", max_length=254
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("withdrawn_at", models.DateTimeField(blank=True, null=True)),
                (
                    "subscription",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="overrides", to="billing.subscription"
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-id"),
            },
        ),
        migrations.CreateModel(
            name="LastStanding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("scheduled", "scheduled"),
                            ("trial", "trial"),
                            ("active", "active"),
                            ("past_due", "past due"),
                            ("restricted", "restricted"),
                            ("suspended", "suspended"),
                            ("ended", "ended"),
                        ],
                        max_length=16,
                    ),
                ),
                ("serves", models.BooleanField()),
                ("may_grow", models.BooleanField()),
                ("refusal", models.CharField(blank=True, max_length=32)),
                ("since", models.DateTimeField(null=True)),
                ("next_change_at", models.DateTimeField(db_index=True, null=True)),
                ("sentence", models.CharField(max_length=500)),
                ("what_to_do", models.CharField(blank=True, max_length=500)),
                ("evaluated_at", models.DateTimeField()),
                (
                    "subscription",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="last_standing",
                        to="billing.subscription",
                    ),
                ),
            ],
            options={
                "ordering": ("subscription",),
            },
        ),
        migrations.CreateModel(
            name="SubscriptionMail",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=16)),
                (
                    "about",
                    models.DateTimeField(
                        help_text="The end of the trial, the due date, the licence's end, the suspension."
                    ),
                ),
                ("days", models.PositiveSmallIntegerField()),
                ("sent_at", models.DateTimeField()),
                (
                    "subscription",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="mails", to="billing.subscription"
                    ),
                ),
            ],
            options={
                "ordering": ("-sent_at", "-id"),
            },
        ),
        migrations.AddConstraint(
            model_name="planversion",
            constraint=models.UniqueConstraint(fields=("plan", "version"), name="billing_planversion_once"),
        ),
        migrations.AddConstraint(
            model_name="planversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("version__gt", 0)), name="billing_planversion_version"
            ),
        ),
        migrations.AddConstraint(
            model_name="planversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("period_months__in", (1, 12))), name="billing_planversion_period"
            ),
        ),
        migrations.AddConstraint(
            model_name="planversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("currency__in", ("EUR", "USD", "GBP", "CHF", "CAD", "AUD"))),
                name="billing_planversion_currency",
            ),
        ),
        migrations.AddConstraint(
            model_name="planversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("restricted_after__lte", models.F("suspended_after")),
                    ("suspended_after__lte", models.F("ended_after")),
                ),
                name="billing_planversion_dunning",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(("basis__in", ["licence", "paid", "trial", "free"])),
                name="billing_subscription_basis",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("basis", "trial"), _negated=True), ("trial_ends_at__isnull", False), _connector="OR"
                ),
                name="billing_subscription_trial_ends",
            ),
        ),
        migrations.AddConstraint(
            model_name="override",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="billing_override_reason"
            ),
        ),
        migrations.AddConstraint(
            model_name="subscriptionmail",
            constraint=models.UniqueConstraint(
                fields=("subscription", "kind", "about", "days"), name="billing_subscriptionmail_once"
            ),
        ),
        migrations.RunPython(fence, unfence),
        migrations.RunPython(seed, migrations.RunPython.noop),
    ]
