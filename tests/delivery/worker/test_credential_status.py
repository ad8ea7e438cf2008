"""What is shown of a credential: each code that is kept of it has a description and a mark."""

import pytest

from delivery.providers import table
from delivery.worker import credential_check
from tenants.models import Credential, PushApp

DESCRIBED = {code for provider in table.PROVIDERS.values() for code in provider.trial.descriptions}
CODES = sorted({*DESCRIBED, *table.CODES, credential_check.UNREADABLE, "of_an_older_version"})


@pytest.mark.parametrize("code", CODES)
def test_each_code_that_can_be_kept_has_words_of_its_own_and_a_mark(code: str) -> None:
    family, kind = ("fcm", "fcm_account") if code.startswith("fcm_") else ("apns", "apns_key")
    app = PushApp(topic="com.mattermost.rn", family=family)
    row = Credential(kind=kind, key_id="TEAM123456/ABC123DEFG", app=app)
    kind, description = credential_check.status_of(row, code)
    assert kind in ("bad", "warn")
    assert description[0].isupper()
    assert code not in description
    assert not [part for part in ("{", "}", "no more is known") if part in description]


@pytest.mark.parametrize(
    ("code", "kind", "description"),
    [
        ("ok", "good", "Good"),
        ("apns_forbidden", "bad", "Apple forbids this"),
        ("transport_connect", "warn", "No connection to the provider could be opened"),
        (
            "apns_invalid_provider_token",
            "bad",
            "Apple does not accept the key ABC123DEFG of the team TEAM123456",
        ),
        ("credential_unreadable", "bad", "Its secret cannot be opened"),
    ],
)
def test_what_is_not_said_of_the_credential_is_no_fault_of_it(code: str, kind: str, description: str) -> None:
    row = Credential(
        kind="apns_key", key_id="TEAM123456/ABC123DEFG", app=PushApp(topic="com.mattermost.rn", family="apns")
    )
    assert credential_check.status_of(row, code) == (kind, description)
