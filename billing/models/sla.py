"""The tables of the SLA's ledger. What is sealed is never changed: by the roles' grants, and by triggers (0005_sla)."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from tenants.fence import Paths, TenantModel
from tenants.models import Customer

OF_CUSTOMER = Paths("customer_id")


class SlaLedger(TenantModel):
    """A customer's ledger: the id that its chain begins with, and its first day."""

    paths = OF_CUSTOMER

    customer = models.OneToOneField(Customer, on_delete=models.PROTECT, related_name="+")
    public_id = models.UUIDField(unique=True)
    begins = models.DateField(help_text="The first day that it has a file of.")

    class Meta:
        verbose_name = "SLA ledger"

    def __str__(self) -> str:
        return str(self.public_id)


class SlaCounts(models.Model):
    """The figures of a minute, as billing/sla/judging.py's Row has them."""

    minute = models.DateTimeField(help_text="When it begins, in UTC, by when its pushes were accepted.")
    valid = models.BigIntegerField(help_text="Valid pushes.")
    failed_ours = models.BigIntegerField(help_text="Of them those that we failed.")
    failed_provider = models.BigIntegerField()
    failed_customer = models.BigIntegerField()
    failed_device = models.BigIntegerField()
    le_1s = models.BigIntegerField(help_text="Valid pushes handed off within 1 s.")
    le_3s = models.BigIntegerField(help_text="Valid pushes handed off within 3 s.")
    canary = models.CharField(max_length=8, help_text="good, bad, missing, or off: none is set up.")
    verdict = models.CharField(max_length=8, help_text="ok, bad or excluded.")
    reason = models.CharField(max_length=250, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M} {self.verdict}"


class SlaMinute(TenantModel, SlaCounts):
    """A judged minute with valid pushes or another verdict than ok. Final once its day is sealed."""

    paths = OF_CUSTOMER

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, db_index=False, related_name="+")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("customer", "minute"), name="billing_slaminute_once"),)
        indexes = (
            models.Index(fields=("minute",), condition=~models.Q(verdict="ok"), name="billing_slaminute_not_ok"),
        )


class SlaDay(TenantModel):
    """A sealed day of a customer: hash of its file, head of the chain, and the head's proof in the day's tree (hex)."""

    paths = OF_CUSTOMER

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, db_index=False, related_name="+")
    day = models.DateField()
    sha = models.CharField(max_length=64)
    head = models.CharField(max_length=64)
    index = models.IntegerField(help_text="The place of the head among those of the day, ascending.")
    size = models.IntegerField(help_text="How many heads the day has.")
    path = ArrayField(models.CharField(max_length=64))

    class Meta:
        constraints = (models.UniqueConstraint(fields=("customer", "day"), name="billing_sladay_once"),)

    def __str__(self) -> str:
        return f"{self.day}: {self.head}"


class SlaRenewal(TenantModel):
    """A broken chain that is begun anew: what its new genesis is made of (billing/sla/ledger.py's Break). Final."""

    paths = OF_CUSTOMER

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, db_index=False, related_name="+")
    broke_on = models.DateField(help_text="The first day without a head that follows.")
    old_head = models.CharField(max_length=64, help_text="The last good head of the old chain: of the day before.")
    begins = models.DateField(help_text="The new chain's first day. The days from the break on are sealed in its file.")
    decided_at = models.DateTimeField()
    decided_by = models.CharField(max_length=254, help_text="The person's e-mail address, or the name of the command.")
    reason = models.CharField(max_length=200)

    class Meta:
        ordering = ("begins",)
        constraints = (
            models.UniqueConstraint(fields=("customer", "begins"), name="billing_slarenewal_once"),
            models.CheckConstraint(
                condition=models.Q(broke_on__lt=models.F("begins")), name="billing_slarenewal_after_the_break"
            ),
        )

    def __str__(self) -> str:
        return f"broken on {self.broke_on}, begun anew on {self.begins}"


class SlaBreakMail(TenantModel):
    """An e-mail about a break of a chain: one when it is found, one when the chain was begun anew; each once."""

    class Kind(models.TextChoices):
        """What it says."""

        BROKEN = "broken", "the chain broke"
        ANEW = "anew", "the chain was begun anew"

    paths = OF_CUSTOMER

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, db_index=False, related_name="+")
    kind = models.CharField(max_length=8, choices=Kind)
    day = models.DateField(help_text="The first day without a head that follows; of a new chain its first one.")
    found_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, help_text="Empty: nobody could be written to yet.")

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=("customer", "kind", "day"), name="billing_slabreakmail_once"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.day}"


class SlaFile(TenantModel):
    """The file of a sealed day, byte for byte; kept for 25 months."""

    paths = OF_CUSTOMER

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, db_index=False, related_name="+")
    day = models.DateField()
    content = models.TextField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("customer", "day"), name="billing_slafile_once"),)

    def __str__(self) -> str:
        return f"{self.day}.csv"


class SlaCorrection(TenantModel, SlaCounts):
    """A row that takes the place of a sealed minute's. It stands in the file of `day`, on which it was made."""

    paths = OF_CUSTOMER

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, db_index=False, related_name="+")
    day = models.DateField(help_text="The day in whose file it stands.")
    favours_customer = models.BooleanField(help_text="It can only lower the uptime that is told.")
    made_at = models.DateTimeField()

    class Meta:
        ordering = ("id",)
        indexes = (models.Index(fields=("customer", "day"), name="billing_slacorrection_by_day"),)


class SlaMonth(TenantModel):
    """The figures of a month whose last day is sealed; computed anew when a minute of it is corrected."""

    paths = OF_CUSTOMER

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, db_index=False, related_name="+")
    month = models.DateField(help_text="Its first day.")
    valid = models.BigIntegerField()
    failed_ours = models.BigIntegerField()
    minutes = models.IntegerField()
    bad_minutes = models.IntegerField()
    excluded_minutes = models.IntegerField()
    by_time = models.DecimalField(max_digits=6, decimal_places=3)
    by_requests = models.DecimalField(max_digits=6, decimal_places=3, null=True)
    uptime = models.DecimalField(max_digits=6, decimal_places=3)
    within_1s = models.DecimalField(max_digits=6, decimal_places=3, null=True)
    within_3s = models.DecimalField(max_digits=6, decimal_places=3, null=True)
    credit_percent = models.SmallIntegerField(help_text="Of the fee of a plan with the SLA.")

    class Meta:
        verbose_name = "SLA month"
        ordering = ("-month",)
        constraints = (models.UniqueConstraint(fields=("customer", "month"), name="billing_slamonth_once"),)

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}: {self.uptime} %"


class SlaCredit(TenantModel):
    """What a customer was credited for a month; after a correction, what is to be added. Never taken back."""

    paths = OF_CUSTOMER

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, db_index=False, related_name="+")
    month = models.DateField(help_text="Its first day.")
    percent = models.SmallIntegerField(help_text="Of the month's fee, in all.")
    price_minor = models.BigIntegerField(help_text="The month's fee in minor units.")
    amount_minor = models.BigIntegerField(help_text="What this adds to what was credited before.")
    currency = models.CharField(max_length=3)
    root = models.CharField(max_length=64, help_text="The Merkle root of the month's last day.")
    made_at = models.DateTimeField()

    class Meta:
        verbose_name = "SLA credit"
        ordering = ("id",)
        constraints = (
            models.CheckConstraint(condition=models.Q(amount_minor__gt=0), name="billing_slacredit_positive"),
            models.UniqueConstraint(fields=("customer", "month", "percent"), name="billing_slacredit_once"),
        )

    def __str__(self) -> str:
        return f"{self.amount_minor} {self.currency} for {self.month:%Y-%m}"


class SlaRoot(models.Model):
    """The signed root of a day's tree: of all customers together, and nobody is recognisable in it."""

    day = models.DateField(primary_key=True)
    size = models.IntegerField(help_text="How many customers had a file.")
    root = models.CharField(max_length=64)
    key = models.CharField(max_length=16, help_text="The id of the key that has signed it.")
    signature = models.CharField(max_length=128)
    sealed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.day}: {self.root}"


class SlaKey(models.Model):
    """A public key of the ledger, old and new. The latest one signs."""

    key = models.CharField(max_length=16, primary_key=True, help_text="The beginning of the SHA-256 of the public key.")
    public = models.CharField(max_length=64)
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


class SlaSecret(models.Model):
    """The sealed private key of the ledger's latest key. No page reads this table."""

    key = models.OneToOneField(SlaKey, on_delete=models.PROTECT, primary_key=True, related_name="+")
    sealed = models.TextField()

    def __str__(self) -> str:
        return self.key_id
