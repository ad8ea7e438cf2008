"""What of single phones, and how many there are."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.browser.questions.admin import Admin, Search
from tests.browser.questions.company import Company

Enter = Callable[[Company], Admin]
DAY = 86_400


def test_why_has_this_device_got_nothing_for_weeks(company: Company, ada: Enter) -> None:
    phone = f"dead0410{secrets.token_hex(28)}"
    company.past(*({"ago": days * DAY, "device": phone} for days in (40, 33, 26)))
    assert company.push(phone)["status"] == "REMOVE"
    company.taken_in()
    admin = ada(company)
    admin.reads(Search(f"apple_rn-v2:{phone}"), sentence="Removed on")
    admin.sees(
        "because the app is no longer installed on this device, or has a new token (410 Unregistered). Its user has to "
        "log in to the app again."
    )


def test_who_still_gets_pushes_after_leaving(company: Company, ada: Enter) -> None:
    left, still_there = secrets.token_hex(32), secrets.token_hex(32)
    for phone in (left, still_there):
        company.push(phone)
        company.push(phone, type="session", message="")
    for _ in range(2):
        company.push(still_there)
    company.taken_in()
    admin = ada(company)
    admin.reads(Search(still_there), sentence="Its session ended on")
    admin.sees("and 2 pushes were handed off for it since: whoever holds this phone still gets them.")
    admin.sees("end all sessions of the account in Mattermost's System Console")
    admin.reads(Search(left), sentence="and no push was handed off for it since.")


def test_was_the_phone_of_somebody_who_left_told_to_wipe(company: Company, ada: Enter) -> None:
    phone = f"dead0410{secrets.token_hex(28)}"
    company.push(phone, type="session", message="")
    company.taken_in()
    ada(company).reads(Search(phone), sentence="The phone was not told of the end: that push came to nothing")


def test_how_many_phones_do_we_have(company: Company, ada: Enter) -> None:
    month = (datetime.now(UTC) - timedelta(seconds=200)).month
    company.past(*({"ago": 200, "device": f"{number:064x}"} for number in (1, 2, 2)))
    company.taken_in()
    admin = ada(company)
    # What they cost is the subscription's page to say.
    admin.reads("Delivery", "Devices", sentence="this month")
    admin.sees("Active devices by month")
    # In its first minutes none of a month has been counted.
    if datetime.now(UTC).month == month:
        admin.sees("2 phones were reached this month.")
