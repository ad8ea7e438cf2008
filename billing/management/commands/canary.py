"""`manage.py canary setup | push | minutes`."""

from datetime import timedelta
from typing import Any, Final

import redis
from django.conf import settings

from billing.incidents import canary
from billing.models import CanaryMinute
from tenants import redis_client
from tenants.management.subcommands import Failing, Option, SubcommandsCommand, subcommand
from tenants.models import Customer
from tenants.problem import ProblemError

# Seconds for Valkey to answer.
TIMEOUT: Final = 5.0
OFFERS: Final = (Customer.Offer.HPNS.value, Customer.Offer.EAS.value)


class Command(SubcommandsCommand):
    """The canary: the service's own customer, which pushes every minute."""

    help = "Set up the canary, let it push now, and show what it found."

    @subcommand(
        "Make the canary's customer, server and key; the same again changes nothing.",
        Option("--offer", "hpns: it uses the shared apps; eas: apps of its own", choices=OFFERS, default="hpns"),
        Option("--slug", "the customer's name in commands and addresses", default=canary.SLUG),
    )
    def setup(self, *, offer: str, slug: str) -> dict[str, Any]:
        """Print whose it is and how many phones it has."""
        server, changed = canary.setup(offer=offer, slug=slug)
        return {"customer": server.customer.slug, "phones": len(settings.CANARY_DEVICES), "changed": changed}

    @subcommand("Push now, unless this minute's push has been made, and print what came of it.")
    def push(self) -> Any:
        """Print the rows of the minute; fails where one is bad or there is none."""
        try:
            with redis_client.connect(TIMEOUT) as store:
                now = canary.now_of(store)
                canary.run(store)
        except redis.RedisError as error:
            raise ProblemError(f"Valkey does not answer ({type(error).__name__})") from error
        rows = _rows(1, now)
        if not rows:
            return Failing(rows, "nothing was pushed: run canary setup, and set CANARY_DEVICES")
        return rows if all(row["good"] for row in rows) else Failing(rows, "not all of it is good")

    @subcommand(
        "Print what came of the last minutes, the latest first.",
        Option("--last", "how many minutes", kind="number"),
    )
    def minutes(self, *, last: int | None) -> list[dict[str, Any]]:
        """Print the rows."""
        with redis_client.connect(TIMEOUT) as store:
            return _rows(last or 15, canary.now_of(store))


def _rows(minutes: int, now: Any) -> list[dict[str, Any]]:
    since = now.replace(second=0, microsecond=0) - timedelta(minutes=minutes - 1)
    return [
        {"at": at.isoformat(), "of": family, "good": good, "why": why, "whose": whose, "ms": ms}
        for at, family, good, why, whose, ms in CanaryMinute.objects.filter(at__gte=since).values_list(
            "at", "family", "good", "why", "whose", "ms"
        )
    ]
