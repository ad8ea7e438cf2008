"""Troubles that stand in a customer's own set-up: suspension, entitlement, keys, apps and their credentials."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.postgres.aggregates import BoolOr
from django.db.models import BigIntegerField, DateTimeField, QuerySet, prefetch_related_objects
from django.urls import reverse
from django.utils import timezone

from delivery.insight import refusing, stock_app
from delivery.insight.stock_app import StockApp
from delivery.insight.trouble import Severity, Trouble, listed
from tenants.inventory import Inventory, ServerName
from tenants.models import AuditEvent, Credential, Customer, Entitlement, PushApp, Server, ServerKey
from tenants.prepared import Given, Prepared

# How long before its end a credential is warned of, as its e-mails are.
SOON: Final = timedelta(days=30)
# Servers without a key that are looked at for their names.
NAMED_MOST: Final = 200
AnyServer = Server | ServerName


_ENTITLEMENT: Final = Prepared(
    lambda: Entitlement.objects.filter(customer_id=Given("customer", BigIntegerField())).order_by()[:1]
)


def of_agreement(customer: Customer) -> Iterator[Trouble]:
    """A suspension, or what billing no longer entitles to: every push is refused."""
    entitlement, reason = next(iter(_ENTITLEMENT.rows(customer=customer.pk)), None), ""
    if customer.status == Customer.Status.SUSPENDED:
        kind, sentence = "suspended", f"{customer.name} is suspended: every push is refused"
        done = AuditEvent.objects.filter(customer_id=customer.pk, action__in=("customer.suspend", "erasure.ask"))
        since = done.order_by("-at").values_list("at", flat=True).first()
        told = done.filter(action="customer.suspend").order_by("-at").values_list("details", flat=True).first()
        reason = str((told or {}).get("reason", "")).rstrip(". ")
    elif entitlement is None or not entitlement.active:
        kind, sentence = "not_entitled", f"{customer.name} has no subscription that includes pushes: each is refused"
        since = entitlement.updated_at if entitlement else None
    elif entitlement.refusal:
        yield _of_subscription(customer, entitlement)
        return
    else:
        return
    yield Trouble(
        kind,
        Severity.STOPPED,
        sentence,
        since,
        f"{f'The reason given: {reason}. ' if reason else ''}"
        f"Ask {settings.SUPPORT_CONTACT} to have it taken back. Nothing is deleted meanwhile.",
        reverse("audit", args=(customer.slug,)),
        "See who did it in the audit log",
        code="suspended",
    )


def _of_subscription(customer: Customer, entitlement: Entitlement) -> Trouble:
    """The subscription is not in force: its page says since when, and what to do."""
    expired = entitlement.refusal == "licence_expired"
    why = "no good Mattermost licence is known" if expired else "the subscription has ended or was not paid"
    return Trouble(
        "subscription",
        Severity.STOPPED,
        f"Every push of {customer.name} is refused, but for wipes of lost phones: {why}",
        None,
        "Upload the current licence, or choose a plan." if expired else "Pay what is open, or choose a plan.",
        reverse("subscription", args=(customer.slug,)),
        "See the subscription",
        code=entitlement.refusal,
    )


def _alive(now: Any) -> "QuerySet[Any, Any]":
    """By the server, whether any of its keys is in use."""
    return ServerKey.objects.order_by().values_list("server_id").annotate(alive=BoolOr(ServerKey.in_use(now=now)))


_ALIVE: Final = Prepared(lambda: _alive(Given("now", DateTimeField())))


def of_keys(customer: Customer, inventory: Inventory, server: Server | None = None) -> Iterator[Trouble]:
    """Servers of which no key is in use."""
    if server is not None and server.disabled_at is not None:
        yield Trouble(
            "server_disabled",
            Severity.STOPPED,
            f"{server.name} is switched off: every push with its keys is refused",
            server.disabled_at,
            "Switch it on for its pushes to be taken again. Its keys are as they were.",
            f"{reverse('server', args=(customer.slug, server.public_id))}#state",
            "Switch it on",
            code="disabled_server",
        )
        return
    # Held against each other here: on fresh statistics PostgreSQL looks through all keys for each of 10,000 servers.
    now = timezone.now()
    alive = dict(_ALIVE.rows(now=now) if server is None else _alive(now).filter(server=server))
    rows = inventory.servers_in_use if server is None else [server] if not server.anonymous else []
    keyless = [row for row in rows if not alive.get(row.pk)]
    ended = [row for row in keyless if row.pk in alive][:NAMED_MOST]
    fresh = [row for row in keyless if row.pk not in alive][:NAMED_MOST]
    if ended:
        one = len(ended) == 1
        yield Trouble(
            "no_key",
            Severity.STOPPED,
            f"{listed([row.name for row in ended])} {'has' if one else 'have'} no key in use:"
            " each was revoked or has expired, and pushes with it are refused",
            _ended_at(ended),
            "Make a new key and enter it in Mattermost.",
            _server_link(customer, ended, "keys"),
            "Make a key",
        )
    if fresh:
        one = len(fresh) == 1
        yield Trouble(
            "never_a_key",
            Severity.WARNING,
            f"{listed([row.name for row in fresh])} {'has' if one else 'have'} no key yet and cannot push",
            None,
            "Make the first key and enter it in Mattermost.",
            _server_link(customer, fresh, "keys"),
            "Make a key",
        )


def of_apps(
    customer: Customer,
    inventory: Inventory,
    now: datetime,
    app: PushApp | None = None,
    *,
    taking: frozenset[int] | None = None,
) -> Iterator[Trouble]:
    """Apps without a credential, credentials that are refused, have ended or are about to; and no app at all.

    taking: the apps that a provider took a push of in the last 24 hours, if that is known.
    """
    rows = inventory.enabled_apps if app is None else [app] if app.enabled and app.customer_id else []
    prefetch_related_objects(rows, "credentials")
    for row in rows:
        yield from _of_app(customer, row, now)
    for found in [stock_app.detect(app, now)] if app is not None else stock_app.detect_all(now, rows, taking):
        if found is not None:
            yield _stock_app(customer, found)
    if not rows and app is None and not inventory.shared_apps:
        yield Trouble(
            "no_app",
            Severity.STOPPED,
            "There is no app to push to",
            None,
            "Add your app and upload its key from Apple or Google.",
            reverse("apps", args=(customer.slug,)),
            "Add an app",
        )


def _of_app(customer: Customer, row: PushApp, now: datetime) -> Iterator[Trouble]:
    slots = {each.slot: each for each in row.credentials.all()}
    current, spare = slots.get(Credential.Slot.CURRENT), slots.get(Credential.Slot.NEXT)
    page, provider = reverse("app", args=(customer.slug, row.pk)), row.get_family_display()
    upload, next_one = f"{page}#upload", f"{page}#c{spare.pk}" if spare is not None else ""
    if current is None:
        yield Trouble(
            "no_credential",
            Severity.STOPPED,
            f"{row.label} has no credential: no push can be sent to it",
            None,
            f"Upload its key from {provider}.",
            upload,
            "Upload a key",
            app_id=row.pk,
            code="no_credential",
        )
        return
    good = spare is not None and _is_usable(spare, now)
    name = f"the key {current.key_id} of {row.label}"
    if current.refused_at is not None:
        yield _refused(customer, row, current, spare if good else None)
    elif current.expires_at is not None and current.expires_at <= now:
        yield Trouble(
            "credential_ended",
            Severity.STOPPED,
            f"{name[:1].upper()}{name[1:]} has ended",
            current.expires_at,
            "Upload a new one: the old one is of no use any more.",
            upload,
            "Upload a new key",
            app_id=row.pk,
        )
    elif current.expires_at is not None and current.expires_at - now < SOON:
        days = -(-(current.expires_at - now) // timedelta(days=1))
        yield Trouble(
            "credential_ends",
            Severity.WARNING,
            f"{name[:1].upper()}{name[1:]} ends in {days} day{'' if days == 1 else 's'}",
            None,
            _next_step(spare, now),
            next_one or upload,
            "See the next key" if spare else "Upload the next key",
            app_id=row.pk,
        )
    if spare is not None and spare.refused_at is not None and refusing.of_credential(spare, row.family) is None:
        yield Trouble(
            "next_refused",
            Severity.WARNING,
            f"{provider} refuses the next key {spare.key_id} of {row.label}",
            spare.refused_at,
            "Pushes are signed with the current one. Replace the next one before it is needed.",
            upload,
            "Replace the next key",
            app_id=row.pk,
            code=spare.refused_code,
            more=f" ({spare.refused_code})",
        )


def _refused(customer: Customer, row: PushApp, current: Credential, good: Credential | None) -> Trouble:
    """The credential that an app is served with is refused; `good`: the next one, if it is of use."""
    provider, page = row.get_family_display(), reverse("app", args=(customer.slug, row.pk))
    attribution, family = "customer", ""
    if refusing.of_credential(current, row.family) is not None:
        fix = (
            f"Leave it as it is: {provider} refuses those of many customers at once. It is asked again now and then,"
            " and pushes go on as soon as it is taken."
        )
        url, action = reverse("providers", args=(customer.slug,)), f"See how {provider} stands"
        attribution, family = "provider", row.family
    elif good is not None:
        fix, url, action = f"Promote the next one, {good.key_id}.", f"{page}#c{good.pk}", "Promote the next key"
    else:
        fix = f"Upload a new key, or check that this one is still listed in your {provider} account."
        url, action = f"{page}#upload", "Upload a new key"
    return Trouble(
        "credential_refused",
        Severity.STOPPED if good is None else Severity.FAILING,
        f"{provider} refuses the key {current.key_id} of {row.label}",
        current.refused_at,
        fix,
        url,
        action,
        attribution,
        family,
        app_id=row.pk,
        code=current.refused_code,
        more=f" ({current.refused_code})",
    )


def _stock_app(customer: Customer, found: StockApp) -> Trouble:
    return Trouble(
        "stock_app",
        Severity.STOPPED,
        found.sentence.removesuffix("."),
        None,
        found.advice,
        reverse("app", args=(customer.slug, found.app.pk)),
        "See the app",
        app_id=found.app.pk,
        code=found.codes[0],
    )


def _next_step(spare: Credential | None, now: datetime) -> str:
    """What to do about a credential that is about to end."""
    if spare is None:
        return "No next one is there: upload it now, and it is checked at once."
    if not _is_usable(spare, now):
        return f"The next one, {spare.key_id}, is not good: replace it."
    if spare.check_code == "ok":
        return f"The next one, {spare.key_id}, is good: promote it."
    return f"Whether the next one, {spare.key_id}, is good is not known yet: check it, then promote it."


def _is_usable(row: Credential, now: datetime) -> bool:
    return row.refused_at is None and (row.expires_at is None or row.expires_at > now)


def _ended_at(servers: Sequence[AnyServer]) -> datetime | None:
    """When the last key of the only one of these servers ended; None for several."""
    if len(servers) != 1:
        return None
    ends = ServerKey.objects.filter(server_id=servers[0].pk).values_list("revoked_at", "expires_at")
    return max((min(filter(None, pair)) for pair in ends if any(pair)), default=None)


def _server_link(customer: Customer, servers: Sequence[AnyServer], part: str) -> str:
    if len(servers) == 1:
        return f"{reverse('server', args=(customer.slug, servers[0].public_id))}#{part}"
    return reverse("servers", args=(customer.slug,))
