"""Asking a provider about a credential while our clock is wrong: the key is asked about, not the clock."""

import time
from email.utils import formatdate

import pytest
import redis

from delivery.providers import table
from delivery.worker import credential_check
from tenants import services
from tenants.providers import apple_files
from tests.sandbox_fixture import SandboxClient

pytestmark = pytest.mark.django_db


def test_a_key_is_asked_about_again_where_only_the_time_in_its_token_was_refused(
    providers: SandboxClient, valkey: redis.Redis
) -> None:
    headers = {"date": formatdate(time.time() - 7200, usegmt=True)}
    refusal = {"status": 403, "json": {"reason": "InvalidProviderToken"}, "headers": headers}
    nobody = table.PROVIDERS["apns"].trial.nobody
    providers.script(nobody, [refusal, {"status": 400, "json": {"reason": "BadDeviceToken"}}])
    made = providers.demo
    key = apple_files.apple_key(made.apns_key.read_bytes(), key_id=made.key_id, team_id=made.team_id)
    app = services.app_add(label="apple_rn", topic="com.mattermost.rn").row
    result = credential_check.check(services.credential_add(app=app, parsed=key).row)
    assert (result.code, result.good) == ("ok", True)
    ages = [request["headers"]["authorization"]["age_s"] for request in providers.requests(nobody)]
    # A token's time is that of its slot of forty minutes.
    assert ages[0] < 2_500
    assert 7_100 < ages[1] < 9_700, "signed by the provider's time"
