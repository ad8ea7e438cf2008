"""Every reason for which a caller is not let in has a text of its own: without one the answer would be no answer."""

import pytest

from delivery.outcomes import judge
from tenants import authentication

REASONS = [
    kind
    for kind in vars(authentication).values()
    if isinstance(kind, type)
    and issubclass(kind, authentication.CallerRejected)
    and kind is not authentication.CallerRejected
]


@pytest.mark.parametrize("kind", REASONS, ids=lambda kind: kind.__name__)
def test_each_reason_to_refuse_a_caller_has_its_row(kind: type[authentication.CallerRejected]) -> None:
    assert judge.refusal(kind.code).code == kind.code


def test_there_are_reasons_to_look_at() -> None:
    assert {kind.code for kind in REASONS} >= {"no_key", "two_keys", "not_ready"}
