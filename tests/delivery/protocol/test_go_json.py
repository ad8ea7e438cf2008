"""Go's rules for JSON, one by one, and the bounds that keep a stranger's body cheap."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delivery.protocol import go_json
from delivery.protocol.go_json import Malformed

MEMBERS: dict[str, type] = {"post_id": str, "message": str, "ack": str, "badge": int, "loaded": bool}


def decode(body: str | bytes) -> dict[str, str | int | bool]:
    return go_json.decode(body.encode() if isinstance(body, str) else body, MEMBERS)


@pytest.mark.parametrize("name", ["post_id", "POST_ID", "Post_Id", "po\u017ft_id", "post_\\u0069d"])
def test_names_match_in_any_case(name: str) -> None:
    assert decode(f'{{"{name}":"x"}}') == {"post_id": "x"}


def test_the_kelvin_sign_is_a_k() -> None:
    assert decode('{"ac\u212a":"x"}') == {"ack": "x"}


@pytest.mark.parametrize("name", ["po\ufb06_id", "post_id ", "post-id", "p\u00f6st_id", "postid", "post_id\\u0000", ""])
def test_other_names_are_unknown(name: str) -> None:
    assert decode(f'{{"{name}":"x"}}') == {}


def test_the_last_of_several_wins_in_whatever_case() -> None:
    assert decode('{"badge":1,"BADGE":2,"badge":3,"Badge":4}') == {"badge": 4}


def test_null_changes_nothing() -> None:
    assert decode('{"badge":null,"message":null,"loaded":null}') == {}
    assert decode('{"badge":7,"badge":null}') == {"badge": 7}


def test_a_wrong_type_fails_even_when_a_later_one_is_right() -> None:
    with pytest.raises(Malformed, match="badge must be a whole number, not a string"):
        decode('{"badge":"1","badge":1}')


@pytest.mark.parametrize("value", ["1", "1.5", "true", "[]", "{}", '["a"]'])
def test_a_string_is_nothing_else(value: str) -> None:
    with pytest.raises(Malformed, match="message must be a string"):
        decode(f'{{"message":{value}}}')


@pytest.mark.parametrize("value", ["1.0", "1e3", "1E0", "0.0", "-0.0", "1e400", '"1"', "true", "[1]", "{}"])
def test_an_integer_is_one_by_its_spelling(value: str) -> None:
    with pytest.raises(Malformed, match="badge must be a whole number"):
        decode(f'{{"badge":{value}}}')


@pytest.mark.parametrize("value", ["1", "0", '"true"', "[]", "{}"])
def test_a_boolean_is_nothing_else(value: str) -> None:
    with pytest.raises(Malformed, match="loaded must be true or false"):
        decode(f'{{"loaded":{value}}}')


@pytest.mark.parametrize(("text", "number"), [("-0", 0), (str(2**63 - 1), 2**63 - 1), (str(-(2**63)), -(2**63))])
def test_integers_have_64_bits(text: str, number: int) -> None:
    assert decode(f'{{"badge":{text}}}') == {"badge": number}


@pytest.mark.parametrize("text", [str(2**63), str(-(2**63) - 1), "9" * 30, "9" * 200_000])
def test_larger_integers_do_not_fit(text: str) -> None:
    with pytest.raises(Malformed, match="64 bits"):
        decode(f'{{"badge":{text}}}')


def test_unknown_members_may_hold_anything_that_is_json() -> None:
    body = f'{{"x":{"9" * 5000},"y":[1e999,{{"badge":"x"}}],"z":"\\ud800","badge":1}}'
    assert decode(body) == {"badge": 1}


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "-Infinity", "nul", "01", "+1", "1.", ".5", "-", "'a'", "[1,]", "{,}", "[1 2]", '{"a"}'],
)
def test_unknown_members_are_checked_for_syntax(value: str) -> None:
    with pytest.raises(Malformed, match="not valid JSON"):
        decode(f'{{"x":{value}}}')


@pytest.mark.parametrize(
    "text", ['"\x1f"', '"\n"', '"\x00"', '"\\x"', '"\\u12"', '"\\u+123"', '"\\u00g0"', '"\\U0041"', '"a']
)
def test_strings_are_checked_for_syntax(text: str) -> None:
    with pytest.raises(Malformed, match="not valid JSON"):
        decode(f'{{"message":{text}}}')


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\\ud83d\\ude00", "\U0001f600"),
        (b"\\ud83d", "\ufffd"),
        (b"\\ude00\\ud83d", "\ufffd\ufffd"),
        (b"\\ud83dA", "\ufffdA"),
        (b"\\ud83d\\ud83d\\ude00", "\ufffd\U0001f600"),
        (b"\\ud83d\\u0041", "\ufffdA"),
        (b"a\xffb", "a\ufffdb"),
        (b"\xc3", "\ufffd"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        (b'\\/\\b\\f\\t\\r\\n\\\\\\"\\u0000', '/\b\f\t\r\n\\"\x00'),
        (b"\x7f", "\x7f"),
        ("\u2028".encode(), "\u2028"),
    ],
)
def test_text_that_is_not_unicode_becomes_replacement_characters(raw: bytes, text: str) -> None:
    assert decode(b'{"message":"' + raw + b'"}') == {"message": text}


@pytest.mark.parametrize("rest", ["x", "{}", "]", "\x00", '"', "[" * 1000, "\ufeff"])
def test_what_follows_the_object_is_not_looked_at(rest: str) -> None:
    assert decode('{"badge":1}' + rest) == {"badge": 1}


@pytest.mark.parametrize("blank", [" ", "\t", "\r\n", " \n "])
def test_white_space_may_stand_everywhere(blank: str) -> None:
    assert decode(blank + "{" + blank + '"badge"' + blank + ":" + blank + "1" + blank + "}") == {"badge": 1}


@pytest.mark.parametrize("start", ["\ufeff", "\u00a0", "\x0c", "\x00", "//a\n"])
def test_nothing_else_may_stand_before_the_object(start: str) -> None:
    with pytest.raises(Malformed, match="not valid JSON at character 0"):
        decode(start + "{}")


def test_a_body_null_is_an_empty_object() -> None:
    assert decode("null") == decode(" null x") == decode("{}") == {}


@pytest.mark.parametrize(
    ("body", "json_type"),
    [("[{}]", "an array"), ("7", "a number"), ('"a"', "a string"), ("true", "true"), ("1.5", "a number")],
)
def test_anything_but_an_object_is_malformed(body: str, json_type: str) -> None:
    with pytest.raises(Malformed, match=f"the body is {json_type}.*, not an object"):
        decode(body)


@pytest.mark.parametrize("body", ["", " ", "{", '{"a"', '{"a":', '{"a":1', '{"a":1,', "[", "nu"])
def test_a_body_that_stops_is_malformed(body: str) -> None:
    with pytest.raises(Malformed, match="not valid JSON"):
        decode(body)


def test_an_error_text_does_not_quote_the_body() -> None:
    for body in (
        '{"secret":secret}',
        '{"message":"secret',
        '{"message":["secret"]}',
        '"secret"',
        '{"secret" "secret"}',
    ):
        with pytest.raises(Malformed) as error:
            decode(body)
        assert "secret" not in str(error.value)


def nested(depth: int) -> str:
    """An object whose deepest level is `depth`."""
    return '{"x":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


def test_nesting_has_a_limit() -> None:
    assert decode(nested(go_json.MAX_DEPTH)) == {}
    with pytest.raises(Malformed, match="nested more than 10000 deep"):
        decode(nested(go_json.MAX_DEPTH + 1))


def test_brackets_side_by_side_in_strings_and_after_the_object_are_not_nesting() -> None:
    many = go_json.MAX_DEPTH * 2
    assert decode('{"x":[' + "[]," * many + "[]]}") == {}
    assert decode('{"message":"' + '[\\"' * many + '"}') == {"message": '["' * many}
    assert decode("{}" + "[" * many) == {}


def test_nesting_that_the_stack_has_no_room_for_is_malformed() -> None:
    def deeper(levels: int) -> dict[str, str | int | bool]:
        return deeper(levels - 1) if levels else decode(nested(go_json.BAND))

    errors = set()
    for levels in range(0, 900, 20):
        try:
            deeper(levels)
        except Malformed as error:
            errors.add(str(error))
        except RecursionError:
            break  # no room for the test itself
    assert errors == {"the JSON is nested too deeply"}


def outcome(text: str) -> object:
    """What comes of a body: its members, or that it is malformed."""
    try:
        return decode(text)
    except Malformed:
        return None


@given(
    st.lists(st.sampled_from(["[", "]", "{", "}", '{"x":', '"message":"a"', "1", ",", '"[', '\\"', " "]), max_size=60)
)
@example(["{", '"message":"a"', ",", '"x":'] + ["["] * 9 + ["]"] * 9 + ["}"])
def test_what_is_nested_deeply_is_judged_as_what_is_not(parts: list[str]) -> None:
    texts = ["".join(parts), '{"message":"a","x":' + "".join(parts) + "}"]
    usual = [outcome(text) for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(go_json, "BAND", 2)
        assert [outcome(text) for text in texts] == usual


@pytest.mark.parametrize("spoilt", ["]", "}", "x", '"', ",", ""])
def test_a_fault_of_syntax_below_thousands_of_levels_is_found(spoilt: str) -> None:
    levels = 5000
    good = '{"message":"a","x":' + "[" * levels + "1" + "]" * levels + "}"
    assert decode(good) == {"message": "a"}
    with pytest.raises(Malformed):
        decode('{"message":"a","x":' + "[" * levels + f"1{spoilt}" + "]" * (levels - (spoilt == "")) + "}")


SIZE = 256 * 1024
HOSTILE = {
    "a thousand levels": nested(1000).encode(),
    "all levels": nested(go_json.MAX_DEPTH).encode(),
    "all levels over and over": b'{"x":[' + (b"[" * 9_990 + b"]" * 9_990 + b",") * 13 + b"1]}",
    "open levels": b"[" * 9_990 + b"1" * SIZE,
    "levels with strings": b'{"x":' + b'["a",' * 9_000 + b"1" + b"]" * 9_000 + b"}",
    "shallow values so deep": b'{"x":' + b"[" * 500 + b"[]," * (SIZE // 3) + b"1" + b"]" * 500 + b"}",
    "levels only": b"[{" * (SIZE // 2),
    "levels between strings": b'["' * (SIZE // 2),
    "open objects": b'{"x":' * (SIZE // 5),
    "empty arrays": b'{"x":[' + b"[]," * (SIZE // 3) + b"1]}",
    "empty objects": b'{"x":[' + b"{}," * (SIZE // 3) + b"1]}",
    "numbers": b'{"x":[' + b"1," * (SIZE // 2) + b"1]}",
    "one fraction": b'{"x":1.' + b"9" * SIZE + b"}",
    "one exponent": b'{"x":1e' + b"9" * SIZE + b"}",
    "one number": b'{"badge":' + b"9" * SIZE + b"}",
    "members": b"{" + b'"Badge":1,' * (SIZE // 10) + b'"x":1}',
    "escaped quotes": b'{"x":"' + b'\\"' * (SIZE // 2),
    "escaped quotes and levels": b"[" * 300 + b'"' + b'\\"' * (SIZE // 2),
    "quotes and levels": b"[" * 300 + b'"' * SIZE,
    "backslashes and levels": b"[" * 300 + b'"' + b"\\" * SIZE,
    "invalid text": b'{"message":"' + b"\xff" * SIZE + b'"}',
    "lone surrogates": b'{"message":"' + b"\\ud800" * (SIZE // 6) + b'"}',
    "blanks": b" " * SIZE,
    "zeros": b"\0" * SIZE,
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_the_largest_hostile_body_costs_milliseconds(kind: str) -> None:
    took = []
    for _ in range(3):
        start = time.process_time()
        try:
            go_json.decode(HOSTILE[kind], MEMBERS)
        except Malformed:
            pass
        took.append(time.process_time() - start)
    assert min(took) < 0.3, f"{min(took) * 1000:.0f} ms"
