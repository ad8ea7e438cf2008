"""What the sandbox counts: pushes, and beside them what the service asks about credentials."""

from delivery.providers import table
from delivery.sandbox.answers import Answer
from delivery.sandbox.journal import NOBODYS, Journal, Request
from delivery.sandbox.pages import Pages


def request(body: bytes) -> Request:
    found = Request([], method="POST", host="h", path="/", http="2", connection=1, stream=1)
    found.add(body)
    return found


def test_a_check_of_a_credential_is_no_push_on_the_phone_page() -> None:
    journal = Journal()
    pages = Pages.__new__(Pages)
    pages._journal = journal
    for nobody in sorted(NOBODYS):
        journal.add("fcm" if ":" in nobody else "apns", nobody, request(b"{}"), Answer(status=400), by="token")
    journal.add("fcm", min(NOBODYS, key=len), request(b"{}"), Answer(status=200), by="success")
    assert pages._sentence() == "No push yet."
    journal.add("apns", "ab" * 32, request(b'{"server_id":"x"}'), Answer(status=200), by="success")
    assert pages._sentence() == "1 push came, and it was delivered."
    # Somebody sends a push to just that device, to see it fail.
    journal.add("apns", min(NOBODYS, key=len), request(b'{"server_id":"x"}'), Answer(status=400), by="token")
    assert pages._sentence() == "2 pushes came: 1 delivered, 1 refused or failed on purpose."
    journal.clear()
    assert pages._sentence() == "No push yet."


def test_the_devices_that_nobody_has_are_those_of_the_providers() -> None:
    assert {provider.trial.nobody for provider in table.PROVIDERS.values()} == NOBODYS
