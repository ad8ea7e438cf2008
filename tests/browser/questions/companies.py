"""Makes companies, some at a time: those of one time become known to the web process and the worker together."""

import json
from typing import Any, Final

from tests.browser.questions.company import Company
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for

AT_A_TIME: Final = 8
# Runs inside the service's own environment (tests/console.py); prints what only this moment knows of each.
MAKE: Final = """
import json, os, sys
from pathlib import Path
from django.db import transaction
from billing import customers
from delivery.sandbox import demo
from tenants import services
from tenants.models import Role
from tenants.providers import apple_files, google_files
from tests.browsing import Browser, member
from tests.settled import settle_credentials


@transaction.atomic
def company(name, key_id, p8, account):
    made = customers.add(name=name, offer="eas").row
    apple = apple_files.apple_key(Path(p8).read_bytes(), key_id=key_id, team_id=demo.TEAM_ID)
    google = google_files.service_account(account.encode(), token_uris=[os.environ["GOOGLE_TOKEN_ORIGIN"] + "/token"])
    apps = {}
    for label, host in (("apple_rn", "production"), ("android_rn", "")):
        app = services.app_add(label=label, topic="com.mattermost.rn", host=host, customer=made).row
        services.credential_add(app=app, parsed=apple if app.family == "apns" else google)
        apps[label] = app.pk
    settle_credentials()
    server = services.server_add(customer=made, name=f"chat.{made.slug}.example").row
    key = services.key_add(server=server)
    ada = Browser().enter(member(f"ada-{made.slug}", made, Role.OWNER))
    return {
        "pk": made.pk, "slug": made.slug, "server": server.pk, "server_id": str(server.public_id), "key": key.text,
        "key_pk": key.row.pk, "apps": apps, "session": ada.cookies["sessionid"].value,
    }

print(json.dumps([company(**one) for one in json.loads(sys.argv[1])]))
"""


class Companies:
    """Companies that nobody else has to do with."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.made, self._fresh = stage, 0, list[Company]()

    def found(self) -> Company:
        """A company that the whole service knows."""
        if not self._fresh:
            *self._fresh, probe = self._make(AT_A_TIME + 1)
            # What a process knows, it knows as of one moment: with the last of them it knows them all.
            wait_for(lambda: probe.push()["status"] == "OK", PATIENCE, f"{probe.name} is known")
        return self._fresh.pop(0)

    def _make(self, count: int) -> list[Company]:
        wanted: list[dict[str, str]] = []
        for number in range(self.made + 1, self.made + count + 1):
            name, key_id = f"Acme {number}", f"ASKED{number:05}"
            account = self.stage.sandbox.add_service_account(f"acme-{number}@demo-project.iam.gserviceaccount.com")
            p8 = str(self.stage.sandbox.add_key(key_id))
            wanted.append({"name": name, "key_id": key_id, "p8": p8, "account": json.dumps(account)})
        self.made += count
        made: list[dict[str, Any]] = json.loads(self.stage.run("-c", MAKE, json.dumps(wanted)))
        return [Company(self.stage, one["name"], one["key_id"], its) for one, its in zip(wanted, made, strict=True)]
