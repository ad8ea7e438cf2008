"""A customer in trouble: it pushes through the real service to the sandbox's phones, and waits until that is counted.

Companies (companies.py) makes them, each with an owner, a server and its key, and apps for iPhones and Android phones
with credentials of its own, so that what befalls one company is not seen by another.
"""

import json
import secrets
from typing import Any, Final

import psycopg

from tests import phones
from tests.stage import Stage, a_push
from tests.waiting import PATIENCE, wait_for

# Rows of the log from the past, as a worker writes them: sys.argv[1] is JSON, a list of members of `rows.row`.
PAST: Final = """
import json, sys, time
import redis
from django.conf import settings
from delivery.log import rows
from delivery.log.partitions import make_partitions
from delivery.outcomes import judge
from delivery.outcomes.verdict import ANSWERED, Attempt
from delivery.protocol.wire import Push
from delivery.providers import table
from datetime import datetime, timezone

now = time.time()
with redis.Redis.from_url(settings.REDIS_URL) as store:
    for one in json.loads(sys.argv[1]):
        push = Push(platform=one["platform"], type=one["type"], device_id=one["device"], ack_id=one["ack_id"])
        at = now - one["ago"]
        make_partitions(datetime.fromtimestamp(at, timezone.utc).date())
        host = {"apns": "api.push.apple.com", "fcm": "fcm.googleapis.com"}[one["family"]]
        attempts = [
            Attempt(one["family"], host, status, reason, ANSWERED, at + after, ms)
            for status, reason, after, ms in one["attempts"]
        ]
        sent = table.PROVIDERS[one["family"]].outcomes.sent
        verdict = (table.verdict_of(one["code"]) or judge.refusal(one["code"])) if one["code"] else sent
        device = rows.fingerprint(one["device"], settings.HASH_KEY)
        store.rpush(rows.ROWS, rows.row(
            one["trace"], at, at + one["took"], one["who"], one["app"], push, device, 700, verdict, attempts,
            one["count"],
        ))
"""


class Company:
    """A customer of a running service. slug: in its addresses; session: of its owner Ada; key: of its server."""

    def __init__(self, stage: Stage, name: str, key_id: str, made: dict[str, Any]) -> None:
        self.stage, self.name, self.key_id = stage, name, key_id
        self.pk, self.slug, self.session = made["pk"], made["slug"], made["session"]
        self.key, self.key_pk = made["key"], made["key_pk"]
        self.server, self.server_id, self.apps = made["server"], made["server_id"], made["apps"]
        self.server_name = f"chat.{self.slug}.example"
        self._expected = 0

    # --- Causing

    def push(self, device: str = "", *, android: bool = False, **members: Any) -> dict[str, str]:
        """Its server pushes to a device, any by default; returns what it was told, with the `ack_id` and `post_id`."""
        platform = "android_rn-v2" if android else "apple_rn-v2"
        device = device or (f"fine:{secrets.token_urlsafe(60)}" if android else secrets.token_hex(32))
        sent = a_push(**{"platform": platform, "device_id": device, **members})
        self._expected += 1
        answer = self.stage.push(key=self.key, **sent)
        return {**answer, "ack_id": sent["ack_id"], "post_id": sent["post_id"], "device": device}

    def ack(self, push: dict[str, str], **members: Any) -> None:
        """The phone of a push acknowledges it, through its server."""
        assert phones.ack(self.stage, push["ack_id"], key=self.key, **members) == {"status": "OK"}
        phones.receipt(self.stage, push["ack_id"])

    def past(self, *rows: dict[str, Any]) -> None:
        """Pushes of the past come into the log, each with `ago` (seconds); code "" is handed off.

        More members: family, device, ack_id, type, took (seconds), count, attempts (of status, reason, at which second
        after it came, milliseconds).
        """
        who = f"{self.pk}\t{self.server}\t{self.key_pk}"
        usual = {"family": "apns", "type": "message", "code": "", "took": 0.1, "attempts": [], "count": 1, "who": who}
        full = [
            {
                **usual,
                **_phone(row.get("family", "apns"), self.apps),
                "trace": f"{secrets.token_hex(6)}-1",
                "ack_id": secrets.token_hex(13),
                **row,
            }
            for row in rows
        ]
        self.stage.run("-c", PAST, json.dumps(full))
        self._expected += len(rows)

    # --- Waiting

    def taken_in(self, count: int = 0) -> None:
        """All its pushes so far (or `count`) stand in the log and the rollups, and the tables of devices know them."""
        wanted = count or self._expected
        wait_for(lambda: self._logged() >= wanted, PATIENCE, f"{wanted} pushes of {self.name} in the log")
        self.stage.manage("devices", "absorb")

    def refused(self) -> None:
        """That a provider refuses one of its credentials is written down: some seconds after the push that met it."""
        query = (
            "SELECT 1 FROM tenants_credential c JOIN tenants_pushapp a ON a.id = c.app_id "
            "WHERE a.customer_id = %s AND c.refused_at IS NOT NULL"
        )
        with psycopg.connect(self.stage.postgres.url, autocommit=True) as connection:
            wait_for(lambda: connection.execute(query, [self.pk]).fetchone(), PATIENCE, f"a key of {self.name} refused")

    def _logged(self) -> int:
        with psycopg.connect(self.stage.postgres.url) as connection:
            query = "SELECT coalesce(sum(count), 0)::int FROM delivery_delivery WHERE customer_id = %s"
            (found,) = connection.execute(query, [self.pk]).fetchone() or (0,)
            return int(found)

    def trace(self, push: dict[str, str]) -> str:
        """The trace id of a push that is in the log."""
        (row,) = self.stage.rows("ack_id = %s", push["ack_id"])
        return str(row["trace"])

    def run(self, code: str, *arguments: str) -> str:
        """Run Python in the service's environment; returns what it printed."""
        return self.stage.run("-c", code, *arguments)


def _phone(family: str, apps: dict[str, int]) -> dict[str, Any]:
    """A phone of a provider's family, as a push names it, and its app."""
    label = "apple_rn" if family == "apns" else "android_rn"
    return {"platform": f"{label}-v2", "app": apps[label], "device": secrets.token_hex(32)}
