"""Mattermost servers, the keys they carry, and the server_ids they are known by."""

import uuid
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Length
from django.db.models.lookups import Exact
from django.utils import timezone

from tenants import keys
from tenants.fence import Paths, TenantModel
from tenants.models.customers import Customer


class Server(TenantModel):
    """One Mattermost installation of a customer."""

    paths = Paths("customer_id")

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="servers")
    name = models.CharField(max_length=200)
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    networks = ArrayField(
        models.CharField(max_length=43),
        default=list,
        blank=True,
        size=50,
        help_text="Networks that its keys are taken from, such as 192.0.2.0/24; empty: from anywhere.",
    )
    anonymous = models.BooleanField(
        default=False, editable=False, help_text="The test service's own: pushes without a key are put down to it."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    disabled_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when every push with its keys is refused; empty: taken."
    )
    removed_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when it is gone from its customer's pages."
    )

    class Meta:
        ordering = ("customer", "name")
        constraints = (
            # The row of a removed one stays for the pushes that name it, and its name is free again.
            models.UniqueConstraint(
                fields=("customer", "name"), condition=Q(removed_at=None), name="tenants_server_name_per_customer"
            ),
            models.CheckConstraint(
                condition=Q(removed_at=None) | Q(disabled_at__isnull=False), name="tenants_server_removed_is_disabled"
            ),
            models.UniqueConstraint(
                fields=("anonymous",), condition=Q(anonymous=True), name="tenants_server_one_anonymous"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="tenants_server_name"),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.customer})"

    @staticmethod
    def of_people() -> "models.QuerySet[Server]":
        """The servers that pages list: not the test service's own, and none that was removed."""
        return Server.objects.filter(anonymous=False, removed_at=None)


class ServerId(TenantModel):
    """A server_id (Mattermost's telemetry id) that is said to be this server's, and known to be once staff confirm it.

    It is no secret, so anybody may say so: one that waits speaks for nobody and keeps nobody from saying the same.
    """

    paths = Paths("server__customer_id")

    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="server_ids")
    mattermost_id = models.CharField(max_length=64, help_text="The server_id that its pushes carry.")
    created_at = models.DateTimeField(auto_now_add=True)
    confirmed_at = models.DateTimeField(
        null=True, blank=True, help_text="When staff confirmed it; empty: it waits, and speaks for nobody."
    )

    class Meta:
        ordering = ("server", "created_at")
        verbose_name = "server id"
        constraints = (
            models.UniqueConstraint(fields=("server", "mattermost_id"), name="tenants_server_id_once_per_server"),
            models.UniqueConstraint(
                fields=("mattermost_id",),
                condition=Q(confirmed_at__isnull=False),
                name="tenants_server_id_confirmed_once",
            ),
            models.CheckConstraint(
                condition=Q(mattermost_id__regex=r"^[A-Za-z0-9_-]+$"), name="tenants_server_id_form"
            ),
        )

    def __str__(self) -> str:
        return self.mattermost_id


class Use(NamedTuple):
    """How many keys were made and how many are in use, and when a push came last: with one in use, and with any."""

    made: int
    living: int
    used_at: datetime | None
    last_at: datetime | None


class ServerKey(TenantModel):
    """A key that a server carries. Only its prefix and a keyed hash are kept; revoking it is final."""

    paths = Paths("server__customer_id")

    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="keys")
    prefix = models.CharField(max_length=keys.PREFIX_LENGTH, unique=True)
    digest = models.BinaryField(max_length=keys.DIGEST_LENGTH)
    name = models.CharField(max_length=200, blank=True, help_text="Where the key is used.")
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("server", "created_at")
        constraints = (
            models.CheckConstraint(condition=Q(prefix__regex=r"^[0-9A-Za-z]{8}$"), name="tenants_key_prefix"),
            models.CheckConstraint(condition=Exact(Length("digest"), keys.DIGEST_LENGTH), name="tenants_key_digest"),
        )

    def __str__(self) -> str:
        return f"{keys.MARK}{self.prefix}_..."

    @staticmethod
    def in_use(path: str = "", now: Any = None) -> Q:
        """The condition that a key counts now, or at a moment or expression `now`; `path` leads to the keys, such as
        "keys__"."""
        lasting = Q(**{f"{path}expires_at": None}) | Q(**{f"{path}expires_at__gt": now or timezone.now()})
        return Q(**{f"{path}revoked_at": None}) & lasting

    @staticmethod
    def use_of(keys: "models.QuerySet[ServerKey]") -> "Use":
        """What has come of some keys. Pushes with one that is in use no more are refused: they say nothing of now."""
        now = ServerKey.in_use()
        found = keys.aggregate(
            made=models.Count("pk"),
            living=models.Count("pk", filter=now),
            used_at=models.Max("last_used_at", filter=now),
            last_at=models.Max("last_used_at"),
        )
        return Use(**found)

    @property
    def state(self) -> str:
        """The same of one key, in a word: "in use", "revoked" or "expired"."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= timezone.now() else "in use"


class Sighting(TenantModel):
    """A server_id that a key was seen with. More than one means a cloned server, or a key that leaked."""

    paths = Paths("key__server__customer_id")

    key = models.ForeignKey(ServerKey, on_delete=models.PROTECT, related_name="sightings")
    mattermost_id = models.CharField(max_length=64)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(help_text="To the minute.")

    class Meta:
        ordering = ("key", "first_at")
        constraints = (models.UniqueConstraint(fields=("key", "mattermost_id"), name="tenants_sighting_once"),)

    def __str__(self) -> str:
        return f"{self.key} with {self.mattermost_id}"


class Rejection(TenantModel):
    """Requests that were rejected at the door, or could not be read, by the key that they name.

    `code` is the stable error code; `address` where they came from ("": not known, or one of more than are kept apart);
    whoever knows the beginning of a key can cause a row, so that it is a hint and no proof. No secret is in it.
    """

    paths = Paths("key__server__customer_id")

    key = models.ForeignKey(ServerKey, on_delete=models.PROTECT, related_name="rejections")
    code = models.CharField(max_length=64)
    address = models.CharField(max_length=45, blank=True)
    count = models.BigIntegerField(help_text="Since first_at; begins anew after a day without any.")
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    encrypted = models.BooleanField(help_text="Whether the last one came over HTTPS.")
    tls = models.CharField(
        max_length=16, blank=True, help_text="Of the last one, such as TLSv1.3; empty: none, or a proxy's."
    )

    guessed = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Whether none of them named this key: whose they are is a guess by server_id or address.",
    )

    class Meta:
        ordering = ("-last_at",)
        constraints = (models.UniqueConstraint(fields=("key", "code", "address"), name="tenants_rejection_once"),)

    def __str__(self) -> str:
        return f"{self.code} from {self.address or 'anywhere'}"


class UnknownCaller(models.Model):
    """Pushes that were refused at the door and name nobody: of no customer's, for staff to look at.

    `address`: where they came from; `mattermost_id`: their server_id, where it was read. Bounded, the latest stay
    (tenants/strangers.py).
    """

    code = models.CharField(max_length=64)
    address = models.CharField(max_length=45, blank=True)
    mattermost_id = models.CharField("server_id", max_length=64, blank=True)
    count = models.BigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        ordering = ("-last_at",)
        constraints = (
            models.UniqueConstraint(fields=("code", "address", "mattermost_id"), name="tenants_unknown_caller_once"),
        )

    def __str__(self) -> str:
        return f"{self.code} from {self.address or 'anywhere'}"
