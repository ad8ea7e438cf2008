"""Whose fault it is that pushes fail: the customer's, Apple's or ours, and on which phones."""

import re
from collections.abc import Callable

from tests.browser.questions.admin import Admin, Search
from tests.browser.questions.companies import Companies
from tests.browser.questions.company import Company

Enter = Callable[[Company], Admin]
FORGET = "from django.core.cache import cache; cache.delete('insight:providers:15')"


def test_nobody_gets_pushes_and_it_is_our_key(company: Company, ada: Enter) -> None:
    company.push()
    company.stage.sandbox.remove_key(company.key_id)
    for _ in range(4):
        company.push()
    company.taken_in()
    company.refused()
    admin = ada(company)
    admin.reads(
        sentence=re.compile(
            rf"Apple refuses the key TEAM123456/{company.key_id} of apple_rn since .*\d\d:\d\d: 4 of 5 pushes "
            r"failed in the last 24 hours \(apns_invalid_provider_token\)\.\s+It is yours to mend\. Upload a new key, "
            r"or check that this one is still listed in your Apple account\."
        )
    )
    admin.reads("Upload a new key", sentence="Upload the next credential")


def test_nobody_gets_pushes_and_it_is_apple(companies: Companies, company: Company, ada: Enter) -> None:
    for each in [companies.found() for _ in range(5)]:
        each.past({"ago": 120, "code": "apns_service_unavailable", "count": 20})
    company.past({"ago": 120, "code": "apns_service_unavailable", "count": 20})
    company.taken_in()
    company.run(FORGET)
    admin = ada(company)
    share = r"\d+(\.\d)? %"
    admin.reads(
        sentence=re.compile(
            r"All 20 pushes failed in the last 24 hours: Apple's push service is unavailable since .*\d\d:\d\d "
            r"\(apns_service_unavailable\)\.\s+It is Apple\. Others' pushes fail there, too: "
            rf"{share} of all customers' in the last 15 minutes\."
        )
    )
    admin.reads("Delivery", "Providers", sentence=re.compile("[Ii]t is Apple, and not you\\."))


def test_nobody_gets_pushes_and_it_is_this_service(company: Company, ada: Enter) -> None:
    company.past({"ago": 60, "code": "internal_error", "count": 7})
    company.taken_in()
    admin = ada(company)
    admin.reads(
        sentence=re.compile(
            r"All 7 pushes failed in the last 24 hours: the push service failed inside since .*\d\d:\d\d "
            r"\(internal_error\)\.\s+It is ours to mend\."
        )
    )
    admin.reads("Delivery", sentence="It is ours to mend")


def test_only_iphones_stopped(company: Company, ada: Enter) -> None:
    company.stage.sandbox.remove_key(company.key_id)
    for _ in range(3):
        company.push()
        company.push(android=True)
    company.taken_in()
    ada(company).reads(
        "Delivery",
        sentence="Only pushes to iPhones fail: all 3 failed, and none of 3 to Android phones.",
    )


def test_what_does_the_error_in_our_log_mean(company: Company, ada: Enter) -> None:
    answer = company.push("dead0401" + "3" * 56)
    company.taken_in()
    line = f'{{"level":"error","msg":"Failed to send mobile push","error":"{answer["error"]}"}}'
    admin = ada(company)
    admin.reads(Search(line), sentence="This device token belongs to another app than the one that the topic names")
    error = Search("Push notification error: unknown send response error")
    admin.reads(error, sentence="This service gives the reason in its place.")
    admin.reads(error, "See which pushes failed, and why", sentence="apns_device_token_not_for_topic")


def test_the_app_says_that_notifications_cannot_be_received_from_this_server(company: Company, ada: Enter) -> None:
    company.push(type="test", platform="apple_other-v2")
    company.taken_in()
    admin = ada(company)
    admin.reads(
        "Send test push",
        sentence=re.compile(
            rf"The last test of a phone, apple_other at {company.server_name}, failed .* ago: no mobile app is set up "
            r"for its platform \(no_app\)\. As long as it fails, the app says that notifications cannot be received "
            r"from this server\. Add an app with exactly the label of its platform"
        ),
    )
