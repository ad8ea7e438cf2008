"""What each offer entitles to, unless staff have agreed on something else with a customer. Pure.

Limits are meant to stop what has gone wrong, not what is busy: a post in a channel of ten thousand people is ten
thousand pushes within a second or two, and a customer that pays must never notice that there are any.
"""

from typing import Final, NamedTuple


class Limits(NamedTuple):
    """What may come how quickly: pushes a second in the long run, at once after a quiet time, and waiting at a time;
    the same for each server of the customer. None: no limit. `burst` belongs to `rate`: both are set or neither.

    The quotas are how many servers, keys in use and enabled apps the customer may have: each process knows all keys."""

    rate: int | None
    burst: int | None
    in_flight: int | None
    server_rate: int | None
    server_burst: int | None
    server_in_flight: int | None
    server_quota: int | None
    key_quota: int | None
    app_quota: int | None


class Terms(NamedTuple):
    """What is agreed on. `may_use_shared`: the operator's apps; `tls_required`: no key over plain HTTP."""

    may_use_shared: bool
    tls_required: bool
    limits: Limits


# Fewer may wait than one web process takes (WAITING_LIMIT), so that no customer fills it alone.
_PAID: Final = Limits(2_000, 100_000, 15_000, 1_000, 50_000, 15_000, 200, 1_000, 50)

TERMS: Final[dict[str, Terms]] = {
    "hpns": Terms(may_use_shared=True, tls_required=True, limits=_PAID),
    "eas": Terms(may_use_shared=False, tls_required=True, limits=_PAID),
    "tpns": Terms(may_use_shared=True, tls_required=False, limits=Limits(5, 100, 50, 5, 100, 50, 3, 10, 5)),
}
