"""The live tail: the page, and the part that it asks for."""

import re
from typing import Any

import pytest

from delivery.outcomes import judge
from tests.delivery.pages.log_rows import acknowledge, count, write
from tests.tenants.conftest import Cast

pytestmark = pytest.mark.django_db
LIVE = "/c/acme/delivery/live/"


def part(cast: Cast, query: str = "", etag: str = "") -> Any:
    """What the script gets."""
    return cast.ben.get(LIVE + query, headers={"HX-Request": "true", "If-None-Match": etag})


def test_the_last_50_pushes_are_shown_and_none_of_others(cast: Cast) -> None:
    traces = [write(number, cast.acme, ago=600 - number) for number in range(60)]
    write(99, cast.cosmos)
    count()
    text = cast.ben.get(LIVE).content.decode()
    assert re.findall(r'data-key="([^"]+)"', text) == traces[:9:-1]
    assert "Reload" in text


def test_the_part_is_sent_again_only_when_there_is_something_new(cast: Cast) -> None:
    write(1, cast.acme, ack_id="z" * 26)
    first = part(cast)
    assert "<html" not in first.content.decode()
    etag = first["ETag"]
    same = part(cast, etag=etag)
    assert (same.status_code, same.content) == (304, b"")
    acknowledge(cast.acme, "z" * 26)
    acked = part(cast, etag=etag)
    assert acked.status_code == 200
    assert "Delivered" in acked.content.decode()
    write(2, cast.acme, ago=1)
    assert part(cast, etag=acked["ETag"]).status_code == 200


def test_the_tail_is_of_the_chosen_server_and_outcome_alone(cast: Cast) -> None:
    write(1, cast.acme)
    refused = write(2, cast.acme, judge.refusal("no_app"))
    text = part(cast, "?outcome=failures").content.decode()
    assert re.findall(r'data-key="([^"]+)"', text) == [refused]
    other = part(cast, f"?server={cast.acme.server.public_id}").content.decode()
    assert len(re.findall("data-key", other)) == 2


def test_without_a_push_the_page_says_what_will_be_there(cast: Cast) -> None:
    assert "No push in the last 24 hours" in cast.ben.get(LIVE).content.decode()
