"""Decode the first JSON object of a body by the rules of Go's encoding/json (https://pkg.go.dev/encoding/json#Unmarshal).

This is the careful decoder behind delivery.protocol.wire: it sees only what the quick one refuses, so it may cost more,
but it must stay linear in the size of the body and bounded in its depth whatever a stranger sends. The grammar is
scanned by Python's own C scanner; what differs from Go is settled here:

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

MAX_DEPTH = 200
"""Levels of arrays and objects that a body may have; Go takes 10,000, a push needs one."""

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

_TYPE_NAMES: dict[type, str] = {str: "a string", int: "a whole number", bool: "true or false"}

_strings = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)  # an open string runs to the end: never tried twice
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
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check_depth(body)
    text = body.decode("utf-8", "replace")
    start = len(text) - len(text.lstrip(" \t\n\r"))
    try:
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


def _check_depth(body: bytes) -> None:
    """Raise Malformed if the first value of `body` is nested beyond MAX_DEPTH. Brackets inside strings do not count."""
    brackets = _strings.sub(b"", body).translate(None, _NOT_BRACKETS)
    for depth in accumulate(map(_STEPS.__getitem__, brackets)):
        if depth > MAX_DEPTH:
            raise Malformed(f"the JSON is nested more than {MAX_DEPTH} deep")
        if depth <= 0:
            return
