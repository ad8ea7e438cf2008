"""Every change to tenants' rows: one transaction each, checked in plain words, and told to the running processes.

All functions take keywords only. An `_add` returns `Changed`: the row, and `changed`, which is False when just this
was there already, so that a script may run twice. They raise ProblemError with one sentence that says what to do.
"""

import re
from datetime import datetime
from typing import Final, Generic, NamedTuple, TypeVar

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from tenants import credentials, keys, stamp, vault
from tenants.models import Credential, Customer, Entitlement, PushApp, Server, ServerKey
from tenants.problem import ProblemError
from tenants.provider_files import Parsed

# The operator's own apps are part of these offers.
OFFERS_WITH_SHARED_APPS: Final = frozenset({"hpns", "tpns"})
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_LABEL: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TOPIC: Final = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_FAMILY_OF_KIND: Final = {"apns_key": "apns", "apns_cert": "apns", "fcm_account": "fcm"}
_FAMILY_OF_LABEL: Final = {"apple": "apns", "android": "fcm"}

Row = TypeVar("Row")


class Changed(NamedTuple, Generic[Row]):
    """A row, and whether this call made or changed it."""

    row: Row
    changed: bool


class NewKey(NamedTuple):
    """A key's row, and its text: the only time that it is known."""

    row: ServerKey
    text: str


def tell() -> None:
    """Tell the running processes once the transaction in progress is committed (at once when there is none)."""
    transaction.on_commit(_touch, robust=True)


def customer_add(*, name: str, offer: str, slug: str = "") -> Changed[Customer]:
    """Add a customer, entitled to push; to the shared apps as well where the offer (hpns, eas, tpns) includes them."""
    name = name.strip()
    slug = slug or slugify(name)[:64]
    if not name or len(name) > 200:
        raise ProblemError("a customer needs a name of at most 200 characters")
    if not _SLUG.fullmatch(slug):
        raise ProblemError("the slug must be 1 to 64 of a-z, 0-9 and -, beginning with a letter or digit (give --slug)")
    if offer not in Customer.Offer.values:
        raise ProblemError(f"the offer must be one of {', '.join(Customer.Offer.values)}")
    try:
        with transaction.atomic():
            customer, created = Customer.objects.get_or_create(slug=slug, defaults={"name": name, "offer": offer})
            if created:
                Entitlement.objects.create(customer=customer, may_use_shared=offer in OFFERS_WITH_SHARED_APPS)
                tell()
    except IntegrityError as error:
        raise _collision(error) from error
    if not created and (customer.name, customer.offer) != (name, offer):
        raise ProblemError(
            f"there is a customer {slug} already, with the name {customer.name} and the offer {customer.offer}"
        )
    return Changed(customer, created)


def customer_suspend(*, customer: Customer) -> Changed[Customer]:
    """Refuse every push of this customer from now on. `changed` says whether that is news."""
    return _set_status(customer, Customer.Status.SUSPENDED)


def customer_resume(*, customer: Customer) -> Changed[Customer]:
    """Serve a suspended customer again. `changed` says whether that is news."""
    return _set_status(customer, Customer.Status.ACTIVE)


def server_add(*, customer: Customer, name: str) -> Changed[Server]:
    """Add one Mattermost installation of a customer."""
    name = name.strip()
    if not name or len(name) > 200:
        raise ProblemError("a server needs a name of at most 200 characters")
    return Changed(*Server.objects.get_or_create(customer=customer, name=name))


def key_add(*, server: Server, name: str = "", expires_at: datetime | None = None) -> NewKey:
    """Make another key for a server. Its text is returned, and kept nowhere."""
    if expires_at is not None and expires_at <= timezone.now():
        raise ProblemError("the key would be expired from the beginning")
    text, prefix, digest = keys.new_key(settings.HASH_KEY)
    with transaction.atomic():
        row = ServerKey.objects.create(
            server=server, prefix=prefix, digest=digest, name=name.strip()[:200], expires_at=expires_at
        )
        tell()
    return NewKey(row, text)


def key_revoke(*, key: ServerKey) -> Changed[ServerKey]:
    """Revoke a key for good. `changed` says whether that is news."""
    with transaction.atomic():
        changed = ServerKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
        tell()
    key.refresh_from_db()
    return Changed(key, changed == 1)


def app_add(
    *,
    label: str,
    topic: str,
    family: str = "",
    host: str = "",
    customer: Customer | None = None,
    is_default: bool = False,
) -> Changed[PushApp]:
    """Add an app: a customer's own, or without one an app that the operator shares.

    `family` may be left out for a label that begins with apple or android, `host` for Apple's production.
    """
    if not _LABEL.fullmatch(label) or "-v" in label:
        raise ProblemError("the label must be 1 to 64 letters, digits, _, . or -, without -v in it (such as apple_rn)")
    implied = next((family_ for head, family_ in _FAMILY_OF_LABEL.items() if label.startswith(head)), "")
    family = family or implied
    if family not in PushApp.Family.values:
        raise ProblemError("say whose app it is: the family must be apns or fcm")
    if implied and family != implied:
        raise ProblemError(f"an app with the label {label} must be of the family {implied}")
    if not _TOPIC.fullmatch(topic):
        raise ProblemError("the topic must be the app's bundle id or package name, such as com.example.app")
    if family == "fcm" and host:
        raise ProblemError("only Apple has two hosts: leave the host out")
    host = host or ("production" if family == "apns" else "")
    if family == "apns" and host not in PushApp.Host.values:
        raise ProblemError("the host must be production or sandbox")
    wanted = {"family": family, "topic": topic, "host": host, "is_default": is_default}
    try:
        with transaction.atomic():
            app, created = PushApp.objects.get_or_create(customer=customer, label=label, enabled=True, defaults=wanted)
            if created:
                tell()
    except IntegrityError as error:
        raise _collision(error) from error
    other = [name for name, value in wanted.items() if getattr(app, name) != value]
    if other:
        said = ", ".join(f"{name} {getattr(app, name)}" for name in other)
        raise ProblemError(
            f"there is an app with the label {label} already, with another {said}: disable that one first"
        )
    return Changed(app, created)


def credential_add(*, app: PushApp, parsed: Parsed, slot: str = "current") -> Changed[Credential]:
    """Seal a credential and put it in a slot of the app; what was in the slot is deleted, secret and all."""
    if slot not in Credential.Slot.values:
        raise ProblemError(f"the slot must be one of {', '.join(Credential.Slot.values)}")
    if _FAMILY_OF_KIND[parsed.kind] != app.family:
        raise ProblemError(f"the app {app} is of the family {app.family}; this credential is for the other one")
    if parsed.topics and app.topic not in parsed.topics:
        raise ProblemError(f"the certificate is for {', '.join(sorted(parsed.topics))}, the app is {app.topic}")
    if parsed.hosts and app.host not in parsed.hosts:
        raise ProblemError(f"the certificate is for Apple's {' and '.join(parsed.hosts)} host, the app uses {app.host}")
    with transaction.atomic():
        # Two at once would both find the slot empty: the app's row is the gate.
        PushApp.objects.select_for_update().get(pk=app.pk)
        there = Credential.objects.filter(app=app, slot=slot).first()
        if there is not None:
            if _same(there, parsed):
                return Changed(there, changed=False)
            there.delete()
        row = Credential.objects.create(
            app=app,
            slot=slot,
            kind=parsed.kind,
            sealed=_sealed(app, parsed.secret),
            key_id=parsed.key_id,
            expires_at=parsed.expires_at,
        )
        tell()
    return Changed(row, changed=True)


def credentials_reseal() -> int:
    """Seal every credential with the primary key of VAULT_KEYS, after which the other keys may go. How many changed."""
    changed = 0
    with transaction.atomic():
        for row in Credential.objects.select_for_update().order_by("pk"):
            try:
                sealed = credentials.reseal(row.app_id, row.sealed)
            except vault.VaultError as error:
                raise ProblemError(f"the credential {row.pk} of the app {row.app_id}: {error}") from error
            if sealed != row.sealed:
                changed += Credential.objects.filter(pk=row.pk, sealed=row.sealed).update(sealed=sealed)
        if changed:
            tell()
    return changed


def _set_status(customer: Customer, status: Customer.Status) -> Changed[Customer]:
    with transaction.atomic():
        changed = Customer.objects.filter(pk=customer.pk).exclude(status=status).update(status=status)
        tell()
    customer.refresh_from_db()
    return Changed(customer, changed == 1)


def _same(there: Credential, parsed: Parsed) -> bool:
    try:
        return there.kind == parsed.kind and credentials.open_(there.app_id, there.sealed) == parsed.secret
    except vault.VaultError:
        return False  # Cannot be opened any more, which is why somebody adds it again.


def _sealed(app: PushApp, secret: dict[str, str]) -> str:
    try:
        return credentials.seal(app.pk, secret)
    except vault.VaultError as error:
        raise ProblemError(f"the credential cannot be sealed: {error}") from error


def _collision(error: IntegrityError) -> ProblemError:
    """What a constraint of the database has kept from being written."""
    if "default" in str(error):
        return ProblemError("there is a default app of this family already: make that one no default first")
    return ProblemError("somebody else has just made the same: look again")


def _touch() -> None:
    stamp.touch()
