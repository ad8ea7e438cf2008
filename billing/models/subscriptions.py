"""Plans with their versions, subscriptions with their overrides, changes, last standing and the e-mails about them.

A version that a subscription has is never changed, nor is what was agreed on in the past: the database refuses both
(migration 0003). Amounts are integer minor units of the version's currency.
"""

from django.db import models
from django.db.models import F, Q

from billing.facts import Basis, State, Terms
from billing.money import CURRENCIES
from tenants.fence import Paths, TenantModel
from tenants.models import Customer

BASES = [(basis.value, basis.value) for basis in Basis]
STATES = [(state.value, state.value.replace("_", " ")) for state in State]


class Plan(models.Model):
    """What can be subscribed to. `listed`: a customer's owner may choose it; else it is staff who give it."""

    code = models.SlugField(max_length=32, unique=True, help_text="The name in commands; it stays.")
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=300, blank=True, help_text="One sentence for the customer.")
    basis = models.CharField(max_length=8, choices=BASES)
    offer = models.CharField(max_length=8, choices=Customer.Offer)
    listed = models.BooleanField(default=False, help_text="Owners may change to it by themselves.")

    class Meta:
        ordering = ("code",)
        constraints = (
            models.CheckConstraint(condition=Q(basis__in=[name for name, _ in BASES]), name="billing_plan_basis"),
            models.CheckConstraint(condition=Q(offer__in=Customer.Offer.values), name="billing_plan_offer"),
            models.CheckConstraint(condition=~Q(name=""), name="billing_plan_name"),
        )

    def __str__(self) -> str:
        return self.name


class PlanVersion(models.Model):
    """One version of a plan; the one with the highest number is what new subscriptions get. Empty bounds are none."""

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="versions")
    version = models.PositiveIntegerField()
    currency = models.CharField(max_length=3, choices=[(code, code) for code in CURRENCIES], default="EUR")
    price_minor = models.PositiveIntegerField(default=0, help_text="For each period, in cents.")
    period_months = models.PositiveSmallIntegerField(default=1, choices=[(1, "a month"), (12, "a year")])
    included_devices = models.PositiveIntegerField(null=True, blank=True, help_text="Active devices a month.")
    included_pushes = models.PositiveIntegerField(null=True, blank=True, help_text="Billable pushes a month.")
    included_servers = models.PositiveIntegerField(null=True, blank=True)
    device_price_minor = models.PositiveIntegerField(
        default=0, help_text="For each active device beyond those included, a month, in cents."
    )
    sla = models.BooleanField(default=False, help_text="The plan has the SLA (sla-1).")
    trial_days = models.PositiveSmallIntegerField(default=30)
    payment_days = models.PositiveSmallIntegerField(default=30, help_text="From an invoice's issue to its due date.")
    restricted_after = models.PositiveSmallIntegerField(default=30, help_text="Days after a due date or licence's end.")
    suspended_after = models.PositiveSmallIntegerField(default=45, help_text="Days after the same.")
    ended_after = models.PositiveSmallIntegerField(default=90, help_text="Days after the same.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("plan__code", "-version")
        constraints = (
            models.UniqueConstraint(fields=("plan", "version"), name="billing_planversion_once"),
            models.CheckConstraint(condition=Q(version__gt=0), name="billing_planversion_version"),
            models.CheckConstraint(condition=Q(period_months__in=(1, 12)), name="billing_planversion_period"),
            models.CheckConstraint(condition=Q(currency__in=CURRENCIES), name="billing_planversion_currency"),
            models.CheckConstraint(
                condition=Q(restricted_after__lte=F("suspended_after"), suspended_after__lte=F("ended_after")),
                name="billing_planversion_dunning",
            ),
        )

    def __str__(self) -> str:
        return f"{self.plan} (version {self.version})"

    @property
    def terms(self) -> Terms:
        """The version as a plain value. It asks for the plan, which is to be selected with it."""
        names = Terms._fields[3:]
        return Terms(self.plan.code, self.version, self.plan.offer, *(getattr(self, name) for name in names))


class Subscription(TenantModel):
    """What a customer has, from when on; several of a customer may follow each other, or overlap.

    `cancel_at` is the date at which it ends, not a state. `anchor_at` begins the periods of a paid one.
    """

    paths = Paths("customer_id")

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="subscriptions")
    version = models.ForeignKey(PlanVersion, on_delete=models.PROTECT, related_name="subscriptions")
    basis = models.CharField(max_length=8, choices=BASES)
    starts_at = models.DateTimeField()
    trial_ends_at = models.DateTimeField(null=True, blank=True)
    anchor_at = models.DateTimeField(help_text="Periods begin at this moment of each month or year.")
    cancel_at = models.DateTimeField(null=True, blank=True)
    offer_pending = models.BooleanField(
        default=True, help_text="The plan's offer is yet to be given: when it has begun, by who may."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("customer", "starts_at", "id")
        constraints = (
            models.CheckConstraint(
                condition=Q(basis__in=[name for name, _ in BASES]), name="billing_subscription_basis"
            ),
            models.CheckConstraint(
                condition=~Q(basis="trial") | Q(trial_ends_at__isnull=False), name="billing_subscription_trial_ends"
            ),
        )

    def __str__(self) -> str:
        return f"{self.version.plan} of {self.customer}"


class Override(TenantModel):
    """Until `until` a subscription is served whatever its standing would be, because staff say so."""

    paths = Paths("subscription__customer_id")

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="overrides")
    until = models.DateTimeField()
    reason = models.CharField(max_length=300, help_text="The customer can read it.")
    actor = models.CharField(max_length=254, help_text="The person's e-mail address, or the name of the command.")
    created_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (models.CheckConstraint(condition=~Q(reason=""), name="billing_override_reason"),)

    def __str__(self) -> str:
        return f"served until {self.until:%Y-%m-%d}: {self.reason}"


class PlanChange(TenantModel):
    """A change of plan within a period, with the amount that is due for what is left of it (negative: a credit)."""

    paths = Paths("subscription__customer_id")

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="changes")
    before = models.ForeignKey(PlanVersion, on_delete=models.PROTECT, related_name="+")
    after = models.ForeignKey(PlanVersion, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    period_start = models.DateTimeField(null=True, help_text="The period that the amount is a share of.")
    period_end = models.DateTimeField(null=True)
    amount_minor = models.IntegerField()
    currency = models.CharField(max_length=3)
    actor = models.CharField(max_length=254)

    class Meta:
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return f"{self.before} to {self.after}"


class LastStanding(TenantModel):
    """The standing of a subscription as it was evaluated last; facts.Standing."""

    paths = Paths("subscription__customer_id")

    subscription = models.OneToOneField(Subscription, on_delete=models.PROTECT, related_name="last_standing")
    state = models.CharField(max_length=16, choices=STATES)
    serves = models.BooleanField()
    may_grow = models.BooleanField()
    refusal = models.CharField(max_length=32, blank=True)
    since = models.DateTimeField(null=True)
    next_change_at = models.DateTimeField(null=True, db_index=True)
    sentence = models.CharField(max_length=500)
    what_to_do = models.CharField(max_length=500, blank=True)
    evaluated_at = models.DateTimeField()

    class Meta:
        ordering = ("subscription",)

    def __str__(self) -> str:
        return self.sentence


class SubscriptionMail(TenantModel):
    """An e-mail that was sent: of what kind, about which date, at which of its steps (days before or after it)."""

    paths = Paths("subscription__customer_id")

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="mails")
    kind = models.CharField(max_length=16)
    about = models.DateTimeField(help_text="The end of the trial, the due date, the licence's end, the suspension.")
    days = models.PositiveSmallIntegerField()
    sent_at = models.DateTimeField()

    class Meta:
        ordering = ("-sent_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("subscription", "kind", "about", "days"), name="billing_subscriptionmail_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind}, {self.days} days, {self.about:%Y-%m-%d}"
