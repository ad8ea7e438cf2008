"""The text of a row: what its columns hold, and what the lines of many pushes share."""

import pytest

from delivery.log import rows
from delivery.log.rows import COLUMNS, COMMON_MOST, KEPT, NO_KEY
from delivery.outcomes import judge
from delivery.outcomes.verdict import Verdict
from delivery.protocol.wire import Push

WHO = "1\t2\t3"


def columns(push: Push, verdict: Verdict | None = None, who: str = WHO, app_id: int | None = 4) -> dict[str, str]:
    """The columns of the row of a push, by their names."""
    verdict = verdict or judge.refusal("no_app")
    line = rows.row("t-1", 10.0, 10.5, who, app_id, push, "d", 100, verdict, ())
    return dict(zip(COLUMNS, line.decode().rstrip("\n").split("\t"), strict=True))


def test_pushes_that_differ_in_anything_have_columns_of_their_own() -> None:
    push, verdict = Push(platform="apple_rn", type="message", server_id="s" * 26), judge.refusal("no_app")
    others = {
        "platform": columns(Push(platform="android_rn", type="message", server_id="s" * 26)),
        "type": columns(Push(platform="apple_rn", type="clear", server_id="s" * 26)),
        "sub_type": columns(Push(platform="apple_rn", type="message", sub_type="calls", server_id="s" * 26)),
        "mattermost_id": columns(Push(platform="apple_rn", type="message", server_id="t" * 26)),
        "customer_id": columns(push, who="9\t2\t3"),
        "app_id": columns(push, app_id=None),
        "code": columns(push, judge.refusal("suspended")),
    }
    same = columns(push, verdict)
    for _ in range(2):  # the second time they are known
        assert columns(push, verdict) == same
        for name, other in others.items():
            assert other[name] != same[name]


def test_a_push_without_a_key_is_no_event_of_the_sla_beside_one_with_it() -> None:
    push, verdict = Push(platform="apple_rn"), judge.refusal("queue_down")
    for who, counts in ((WHO, "t"), (f"1\t2\t{NO_KEY}", "f"), (WHO, "t")):
        assert columns(push, verdict, who)["counts"] == counts


@pytest.mark.parametrize("name", ["platform", "type", "sub_type", "server_id"])
def test_what_a_stranger_writes_is_cut_and_breaks_no_line_and_is_not_kept(name: str) -> None:
    before = len(rows._COMMON)
    found = columns(Push(**{name: "a\tb\\c\n]\0" + "x" * 1000}))
    text = found["mattermost_id" if name == "server_id" else name]
    assert text.startswith("a\\tb\\\\c\\n\\x5dx")
    assert text.count("x") < KEPT
    assert len(rows._COMMON) == before


def test_the_columns_that_are_kept_have_a_bound() -> None:
    for number in range(COMMON_MOST + 10):
        columns(Push(type=f"kind-{number}"))
    assert len(rows._COMMON) <= COMMON_MOST
