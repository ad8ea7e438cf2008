"""Telling, as a process that sends does, that the circuit breaker of an app's credential is open."""

import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import redis

from delivery.outcomes.transport import TransportFault
from delivery.worker.breaker_reports import KEY, OpenBreaker
from tenants.models import PushApp


def pause(store: redis.Redis, app: PushApp, *, ago: float = 0.0, **changes: Any) -> datetime:
    """Tell, so many seconds ago, that it had been open for two minutes; since when.

    ago: where it is below 0, that is read for so much longer.
    """
    told_at = time.time() - ago
    now = min(told_at, time.time())
    told = {
        "app_id": app.pk,
        "credential_id": app.credentials.get().pk,
        "host": "api.push.apple.com",
        "since": now - 120,
        "probe_at": now + 20,
        "reason": TransportFault.TIMEOUT.value,
        "held": 1_234,
        "is_probing": False,
        **changes,
    }
    store.hset(KEY, "web-1", msgspec.json.encode([told_at, [OpenBreaker(**told)]]).decode())
    return datetime.fromtimestamp(now - 120, UTC)
