"""Durations as people read them."""

from typing import Final

_SECOND: Final = 1_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_SHORT: Final = 10 * _SECOND


def exactly(milliseconds: int) -> str:
    """A duration with all its figures up to a minute, "1,210 ms"; a longer one as lasting() has it."""
    return f"{milliseconds:,} ms" if milliseconds < _MINUTE else lasting(milliseconds)


def lasting(milliseconds: float) -> str:
    """A duration in the two largest units that say something: "340 ms", "1.2 s", "41 s", "3 min 20 s", "2 d 5 h"."""
    whole = round(milliseconds)
    if whole < _SECOND:
        return f"{whole} ms"
    if whole < _SHORT:
        return f"{whole / _SECOND:.1f} s"
    if whole < _MINUTE:
        return f"{whole // _SECOND} s"
    for unit, name, part, part_name in ((_HOUR, "min", _MINUTE, "s"), (_DAY, "h", _HOUR, "min")):
        if whole < unit:
            rest = whole % part // (_SECOND if part == _MINUTE else _MINUTE)
            return f"{whole // part} {name}" + (f" {rest} {part_name}" if rest else "")
    rest = whole % _DAY // _HOUR
    return f"{whole // _DAY} d" + (f" {rest} h" if rest else "")
