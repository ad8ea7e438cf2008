"""Whether it was an update, or something in between."""

import re
from collections.abc import Callable
from typing import LiteralString

import psycopg

from tests.browser.questions.admin import Admin
from tests.browser.questions.company import Company
from tests.waiting import PATIENCE, wait_for

Enter = Callable[[Company], Admin]
MINUTE, HOUR = 60, 3_600


def test_did_the_update_break_it(company: Company, ada: Enter) -> None:
    company.past(*({"ago": hours * HOUR} for hours in range(3, 12)))
    # The new app says another platform, for which nothing is set up.
    new = {"platform": "apple_rnnew-v2", "app": None, "code": "no_app", "family": "apns"}
    company.past(*({"ago": minutes * MINUTE, **new} for minutes in (9, 7, 5)))
    assert company.stage.push(key=company.key, platform="apple_rnnew-v2")["status"] == "FAIL"
    company.taken_in(13)
    admin = ada(company)
    admin.reads("Delivery", sentence="(no_app) since")
    admin.sees(f"Shortly before that began, this changed: {company.server_name} first sent for apple_rnnew-v2 (")
    changes = admin.page.get_by_label("What changed").first
    assert f"{company.server_name} first sent for apple_rnnew-v2" in changes.inner_text()


def test_it_broke_and_nothing_of_ours_had_changed(company: Company, ada: Enter) -> None:
    company.past(*({"ago": hours * HOUR} for hours in range(3, 12)))
    company.past(*({"ago": 2 * HOUR - minutes * MINUTE, "code": "apns_invalid_provider_token"} for minutes in range(3)))
    company.taken_in()
    ada(company).reads("Delivery", sentence="Nothing that is seen here changed shortly before that began:")


def test_is_something_between_us_eating_it(company: Company, ada: Enter) -> None:
    admin = ada(company)
    company.push()
    company.taken_in()
    wait_for(lambda: _used(company), PATIENCE, "the use of the key is known")
    admin.reads(
        "Servers & keys",
        company.server_name,
        sentence="No request with one of its keys was turned away here, and each could be read.",
    )

    # A proxy answers for the server with a page of its own as the body.
    path = f"/t/{company.key}/api/v1/send_push"
    assert company.stage.post(path, b"<html><body>Sign in to the guest network</body></html>")[0] == 200
    wait_for(lambda: _rejected(company), PATIENCE, "the request is known to have been rejected")
    admin.reads(sentence=f"Requests of {company.server_name} from 127.0.0.1 cannot be read since")
    admin.sees("Check what changes them on their way: a proxy or a firewall in between.")
    admin.reads("See where they come from", sentence=re.compile(r"127\.0\.0\.1\s.*malformed.*plain HTTP", re.DOTALL))


def _rejected(company: Company) -> bool:
    return _found(company, "SELECT 1 FROM tenants_rejection WHERE key_id = %s")


def _used(company: Company) -> bool:
    return _found(company, "SELECT 1 FROM tenants_serverkey WHERE id = %s AND last_used_at IS NOT NULL")


def _found(company: Company, query: LiteralString) -> bool:
    with psycopg.connect(company.stage.postgres.url) as connection:
        return connection.execute(query, [company.key_pk]).fetchone() is not None
