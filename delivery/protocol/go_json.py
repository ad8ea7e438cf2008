"""Decode the first JSON object of a body by the rules of Go's encoding/json (https://pkg.go.dev/encoding/json#Unmarshal).

This is the careful decoder behind delivery.protocol.wire: it sees only what the quick one refuses, so it may cost more,
but it must stay linear in the size of the body and bounded in its depth whatever a stranger sends. The grammar is
scanned by Python's own C scanner, what is nested deeply in bands of levels; what differs from Go is settled here:

* invalid UTF-8 and lone surrogates become U+FFFD, a byte order mark is a syntax error;
* names match in any case (Go also folds the Kelvin sign and the long s), the last of several wins, `null` changes
  nothing, unknown members are only checked for syntax;
* a member of the wrong type fails the whole body even when a later one of the same name is right;
* an integer is one by its spelling (`-0` is, `1.0` and `1e3` are not) and has 64 bits;
* what follows the first value is not looked at; a body `null` is an empty object.

Invariant: whatever the bytes are, `decode` returns a dict or raises Malformed, and no text of the body is in the error.
"""

import json
import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Never

MAX_DEPTH = 10_000
"""Levels of arrays and objects that a body may have, as in Go; a push needs one."""
BAND = 200
"""Levels that the scanner, which is recursive, gets at a time; it may be twice as many."""

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

_TYPE_NAMES: dict[type, str] = {str: "a string", int: "a whole number", bool: "true or false"}

_strings = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)  # an open string runs to the end: never tried twice
_tokens = re.compile(r'"(?:[^"\\]++|\\.)*+"?|([\[{])|([\]}])', re.DOTALL)
_OPENS, _CLOSES = 1, 2
_surrogates = re.compile(r"[\ud800-\udfff]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class Malformed(ValueError):
    """A body that is not what it should be; the text says what is wrong with it, without quoting it."""


def _reject_constant(_name: str) -> Never:
    """Reject NaN and the infinities, which Python's scanner knows and JSON does not."""
    raise Malformed("not valid JSON: NaN and Infinity are not JSON")


# What the scanner makes of a value tells its kind, at the cost of built-in types: an object is a tuple of its members
# in the order of the body, an array a list, an integer bytes as it is spelt (of any length), another number a float.
_scan = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=str.encode, parse_float=float, parse_constant=_reject_constant
).raw_decode


def decode(body: bytes, members: Mapping[str, type]) -> dict[str, str | int | bool]:
    """Return those of `members` (lower-case name to str, int or bool) that the object in `body` sets.

    Raises Malformed for invalid JSON, anything but an object or null, a member of another type than its own, and
    nesting beyond MAX_DEPTH.
    """
    is_deep = body.count(b"[") + body.count(b"{") > BAND and _depth(body) > BAND
    text = body.decode("utf-8", "replace")
    start = len(text) - len(text.lstrip(" \t\n\r"))
    try:
        if is_deep:
            text = _flattened(text, start)
        value, _end = _scan(text, start)
    except json.JSONDecodeError as error:
        raise Malformed(f"not valid JSON at character {error.pos}: {_reason(error, text)}") from None
    except RecursionError:  # the caller's own stack was nearly used up
        raise Malformed("the JSON is nested too deeply") from None
    if value is None:
        return {}
    if not isinstance(value, tuple):
        raise Malformed(f"the body is {_type_name(value)}, not an object")
    found: dict[str, str | int | bool] = {}
    for name, member in value:
        wanted = members.get(name)
        if wanted is None:
            name = fold(name)
            wanted = members.get(name)
        if wanted is not None and member is not None:
            found[name] = _typed(name, wanted, member)
    return found


def fold(name: str) -> str:
    """Return a member name as Go compares it: without case, the Kelvin sign as k and the long s as s."""
    return name.lower().replace("\u017f", "s")


def _typed(name: str, wanted: type, member: object) -> str | int | bool:
    """Return a member's value if it has the wanted type, else raise Malformed."""
    if wanted is int:
        if isinstance(member, bytes):
            if len(member) <= 20 and INT64_MIN <= (number := int(member)) <= INT64_MAX:
                return number
            raise Malformed(f"{name} does not fit into 64 bits")
    elif type(member) is wanted:
        if wanted is str:
            return _surrogates.sub("\ufffd", str(member))
        return bool(member)
    raise Malformed(f"{name} must be {_TYPE_NAMES[wanted]}, not {_type_name(member)}")


def _type_name(value: object) -> str:
    """Return what a scanned value is called in an error text."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case bytes():
            return "a number"
        case float():
            return "a number with a fraction or an exponent"
        case str():
            return "a string"
        case tuple():
            return "an object"
        case _:
            return "an array"


def _reason(error: json.JSONDecodeError, text: str) -> str:
    """Return the scanner's complaint in words that do not depend on Python, and never quote the body."""
    if error.pos >= len(text):
        return "it ends too early"
    return error.msg.removesuffix(" at").removesuffix(" starting").lower()


def _depth(body: bytes) -> int:
    """Return how deep the first value of `body` is nested; raises Malformed beyond MAX_DEPTH.

    Brackets inside strings do not count.
    """
    brackets = _strings.sub(b"", body).translate(None, _NOT_BRACKETS)
    deepest = 0
    for depth in accumulate(map(_STEPS.__getitem__, brackets)):
        if depth > deepest:
            if depth > MAX_DEPTH:
                raise Malformed(f"the JSON is nested more than {MAX_DEPTH} deep")
            deepest = depth
        elif depth <= 0:
            break
    return deepest


def _flattened(text: str, start: int) -> str:
    """Return a text whose first value is nested BAND levels at least, with deep arrays and objects made empty ones.

    What stands so deep is of no member that we know, so that only its syntax counts: it is scanned piece by piece, from
    inside. Each character is scanned once. Raises Malformed or json.JSONDecodeError for a piece that is no value.
    """
    cuts: list[tuple[int, int]] = []  # what was scanned, in order, and not inside one another
    bands: list[tuple[int, int]] = []  # where the open values at each BAND levels begin, and how deep they go
    depth = deepest = 0
    for token in _tokens.finditer(text, start):
        sign = token.lastindex
        if sign == _OPENS:
            depth += 1
            if depth % BAND == 0:
                bands.append((token.start(), deepest))
                deepest = depth
            elif depth > deepest:
                deepest = depth
        elif sign == _CLOSES:
            if depth and depth % BAND == 0:
                begin, before = bands.pop()
                if deepest >= depth + BAND:
                    _scan_piece(text, begin, token.end(), cuts)
                deepest = max(before, deepest)
            depth -= 1
            if depth <= 0:
                break
    return _without(text, 0, len(text), cuts)


def _scan_piece(text: str, begin: int, end: int, cuts: list[tuple[int, int]]) -> None:
    """Scan the value between two places, without the cuts in it, and make one cut of it."""
    first = len(cuts)
    while first and cuts[first - 1][0] > begin:
        first -= 1
    piece = _without(text, begin, end, cuts[first:])
    if _scan(piece, 0)[1] != len(piece):
        raise Malformed("not valid JSON: brackets of one kind are closed by the other")
    cuts[first:] = [(begin, end)]


def _without(text: str, begin: int, end: int, cuts: list[tuple[int, int]]) -> str:
    """Return a part of a text with an empty array or object in the place of each cut."""
    parts = []
    for cut_begin, cut_end in cuts:
        parts += [text[begin:cut_begin], text[cut_begin], text[cut_end - 1]]
        begin = cut_end
    return "".join([*parts, text[begin:end]])
