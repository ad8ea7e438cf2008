"""Wrong keys remove no device of a whole service's, dead devices are removed with their first push."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

import pytest

from delivery.sandbox import demo
from tests.faults.pushes import iphone, push, wait_for_changes
from tests.stage import Stage

DEVICES: Final = 1_000
# An app whose key is good, and whose phones are all registered by another app; it has signed for long.
ADD: Final = """
import sys
from datetime import timedelta
from pathlib import Path
import django
django.setup()
from django.utils import timezone
from tenants import services
from tenants.models import Credential, Customer
from tenants.providers import apple_files
key = apple_files.apple_key(Path(sys.argv[1]).read_bytes(), key_id=sys.argv[2], team_id=sys.argv[3])
acme = Customer.objects.get(slug="acme")
app = services.app_add(label="apple_mistaken", topic="com.mattermost.rn", customer=acme).row
made = services.credential_add(app=app, parsed=key).row
Credential.objects.filter(pk=made.pk).update(signs_since=timezone.now() - timedelta(hours=1))
"""
WRONG_TOPIC, DEAD = "dead0401", "dead0410"


@pytest.fixture
def stage(service: Stage) -> Stage:
    """A whole service with an app that its phones do not run."""
    service.run("-c", ADD, str(service.sandbox.demo.apns_key), demo.KEY_ID, demo.TEAM_ID)
    wait_for_changes(service)
    return service


def test_a_key_for_the_wrong_app_removes_none_of_a_thousand_devices_and_a_dead_one_is_removed_at_once(
    stage: Stage,
) -> None:
    begun = datetime.now(UTC)
    with ThreadPoolExecutor(20) as threads:
        made = [
            threads.submit(push, stage, platform="apple_mistaken-v2", device_id=f"{WRONG_TOPIC}{number % DEVICES:056x}")
            for number in range(DEVICES + 100)  # some of them again
        ]
        answers = [each.result() for each in made]
    assert {(each.status, each.code) for each in answers} == {("FAIL", "apns_device_token_not_for_topic")}
    assert push(stage, device_id=iphone(DEAD)).status == "REMOVE"
    refused = stage.rows("answer = 'REMOVE' AND code LIKE 'apns_device%%' AND accepted_at >= %s", begun)
    assert not refused
