"""Whether a server has sent anything, and what became of one push."""

import re
from collections.abc import Callable

from tests.browser.questions.admin import Admin, Search
from tests.browser.questions.company import Company

Enter = Callable[[Company], Admin]
HOUR = 3600


def test_did_my_server_send_anything_at_all(company: Company, ada: Enter) -> None:
    company.push()
    company.taken_in()
    admin = ada(company)
    admin.reads("Servers & keys", company.server_name, sentence=re.compile(r"Last push \d+ (s|min) ago\."))
    admin.sees("The only push was handed off in the last 24 hours.")


def test_did_my_server_send_anything_since_this_morning(company: Company, ada: Enter) -> None:
    company.past(*({"ago": HOUR * hours} for hours in range(5, 50)))
    company.taken_in()
    admin = ada(company)
    silent = re.compile(rf"Nothing has come from {company.server_name} since .*\d\d:\d\d\.")
    admin.reads(sentence=silent)
    admin.reads("See the server", sentence=silent)


def test_this_one_message_did_not_reach_this_one_person_where_did_it_stop(company: Company, ada: Enter) -> None:
    first = company.push()
    lost = company.push("dead0410" + "7" * 56, post_id=first["post_id"])
    company.taken_in()
    admin = ada(company)
    link = f"https://{company.server_name}/team/pl/{first['post_id']}"
    admin.reads(Search(link), sentence="2 pushes: 1 handed off, 1 device gone.")
    admin.reads(
        Search(link),
        company.trace(lost),
        sentence="Not handed off: the app is no longer installed on this device, or has a new token.",
    )
    admin.sees("410 Unregistered")


def test_the_log_says_ok_and_the_phone_shows_nothing(company: Company, ada: Enter) -> None:
    push = company.push()
    assert push["status"] == "OK"
    company.past({"ago": 600, "ack_id": "x" * 26, "attempts": [(200, "", 0.01, 40)]})
    company.taken_in()
    admin = ada(company)
    admin.reads(
        Search(f'{{"msg":"Notification sent","ackId":"{push["ack_id"]}","status":"OK"}}'),
        sentence=re.compile(
            r"Handed off: Apple took it (\d+ ms|\d\.\d s) after it came in\. No receipt from the phone has come\."
        ),
    )
    admin.reads(Search("x" * 26), sentence="No receipt from the phone has come.")
    admin.sees("An iPhone acknowledges nothing while notifications are off for the app")


def test_pushes_come_late_who_is_slow(company: Company, ada: Enter) -> None:
    slow = company.push("dead0003" + "5" * 56)
    late = "late" + "y" * 22
    company.past({"ago": HOUR, "ack_id": late, "attempts": [(200, "", 0.01, 40)]})
    company.taken_in()
    company.ack({"ack_id": late})
    admin = ada(company)
    admin.reads(Search(slow["ack_id"]), sentence=re.compile(r"Apple held it: [34]\.\d s passed until it answered\."))
    admin.reads(Search(late), sentence="Delivered: the phone acknowledged it 1 h after it came in.")
    admin.sees("Apple took it after 100 ms: the rest of the time it was between Apple and the phone, which may")
    admin.reads("Delivery", sentence=re.compile(r"Hand-off, p95\s+[34]\.\d s"))
