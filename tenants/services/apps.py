"""Changes to the apps that can be signed for."""

import re
from typing import Final

from django.db import IntegrityError, transaction

from tenants.audit import recording
from tenants.changes import Changed, collision, notify_processes
from tenants.models import Customer, PushApp
from tenants.problem import ProblemError
from tenants.providers import table
from tenants.providers.base import Provider
from tenants.services.growth import check_may_grow

_LABEL: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TOPIC: Final = re.compile(r"[A-Za-z0-9_.-]{1,255}")


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

    `family` may be left out for a label that begins as a provider's platforms do, `host` for its usual one.
    """
    if not _LABEL.fullmatch(label) or "-v" in label:
        raise ProblemError("the label must be 1 to 64 letters, digits, _, . or -, without -v in it (such as apple_rn)")
    implied = table.family_of(label)
    family = family or implied
    provider = table.PROVIDERS.get(family)
    if provider is None:
        raise ProblemError(f"say whose app it is: the family must be {' or '.join(table.PROVIDERS)}")
    if implied and family != implied:
        raise ProblemError(f"an app with the label {label} must be of the family {implied}")
    check_topic(topic, provider)
    if host and not provider.hosts:
        several = " and ".join(row.name for row in table.PROVIDERS.values() if row.hosts)
        raise ProblemError(f"only {several} has two hosts: leave the host out")
    host = host or (provider.hosts[0] if provider.hosts else "")
    if provider.hosts and host not in provider.hosts:
        raise ProblemError(f"the host must be {' or '.join(provider.hosts)}")
    wanted = {"family": family, "topic": topic, "host": host, "is_default": is_default}
    try:
        with transaction.atomic():
            if (
                customer is not None
                and not PushApp.objects.filter(customer=customer, label=label, enabled=True).exists()
            ):
                check_may_grow(customer.pk, "apps")
            app, created = PushApp.objects.get_or_create(customer=customer, label=label, enabled=True, defaults=wanted)
            if created:
                recording.record("app.add", customer=customer, target=app, target_id=app.pk, topic=topic, host=host)
                notify_processes(customer.pk if customer is not None else None)
    except IntegrityError as error:
        raise collision(error) from error
    other = [name for name, value in wanted.items() if getattr(app, name) != value]
    if other:
        differing = ", ".join(f"{name} {getattr(app, name)}" for name in other)
        raise ProblemError(
            f"there is an app with the label {label} already, with another {differing}: "
            "change that one, or disable it first"
        )
    return Changed(app, created)


def check_topic(topic: str, provider: Provider) -> None:
    """Raise ProblemError for what can be no bundle id and no package name at this provider."""
    if not _TOPIC.fullmatch(topic):
        raise ProblemError(
            "the topic must be the app's bundle id or package name, such as com.example.app", field="topic"
        )
    if fault := provider.topic_fault(topic):
        raise ProblemError(fault, field="topic")


def app_enable(*, app: PushApp, enabled: bool) -> Changed[PushApp]:
    """Let an app take pushes, or none any more; its credentials stay. `changed` says whether that is news."""
    return _set(app, "enabled", enabled, "app.enable" if enabled else "app.disable")


def app_default(*, app: PushApp, is_default: bool) -> Changed[PushApp]:
    """Let an app also take the pushes of its family that no label matches, or not; one of a family can."""
    if is_default and not app.enabled:
        raise ProblemError(f"the app {app} is disabled: enable it first")
    return _set(app, "is_default", is_default, "app.default")


def _set(app: PushApp, field: str, value: bool, action: str) -> Changed[PushApp]:
    try:
        with transaction.atomic():
            there = PushApp.objects.select_for_update().order_by("pk").get(pk=app.pk)
            if getattr(there, field) == value:
                return Changed(there, changed=False)
            if field == "enabled" and value and there.customer_id is not None:
                check_may_grow(there.customer_id, "apps", made_anew=False)
            setattr(there, field, value)
            there.save(update_fields=[field])
            recording.record(action, customer=there.customer_id, target=there, target_id=there.pk, value=value)
            notify_processes(there.customer_id)
    except IntegrityError as error:
        raise collision(error) from error
    return Changed(there, changed=True)
