"""What is a body and what is an attack."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.http.strict_json import BadJson, parse

TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_every_plain_value_comes_through_unchanged(value: object) -> None:
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b'{"a":1,}', b"nul", b'{"a": NaN}', b"[Infinity]", b"-Infinity", b"1e999",
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000, b"[" * 65 + b"]" * 65, b'{"a":1,"a":2}', b'{"x":{"\\u0061":1,"a":2}}',
        b'"\xff\xfe"', b'"\xc0\xaf"', b'\xef\xbb\xbf{}', b'"\\u0000"', b'"\\ud800"', b'{"\\udfff":1}',
        b"9" * 5000, b"{} {}",
        b"\x00", b"'a'", b"0x10", b"[1 2]", b'"a\nb"', b"1" + b"0" * 70, b'["\\ud800\\u0041"]',
    ],
)  # fmt: skip
def test_what_is_not_plain_json_is_one_clear_error(raw: bytes) -> None:
    with pytest.raises(BadJson) as caught:
        parse(raw)
    assert caught.value.status == 400
    assert "Traceback" not in caught.value.message


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_the_one_error(raw: bytes) -> None:
    try:
        parse(raw)
    except BadJson:
        return


def test_brackets_inside_texts_are_not_depth() -> None:
    value = {"text": "[" * 500 + '\\"' + "{" * 500}
    assert parse(json.dumps(value).encode()) == value


def test_sixty_four_levels_are_allowed() -> None:
    assert parse(b"[" * 64 + b"]" * 64)


def test_an_emoji_as_a_surrogate_pair_is_a_text() -> None:
    assert parse(b'"\\ud83d\\ude00"') == "\U0001f600"
