"""A place in a list survives the way through a browser, and nothing else passes for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput
from core.http.paging import cursor, read_cursor


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40), st.integers(-(10**12), 10**12))
def test_a_cursor_is_read_as_it_was_made(text: str, number: int) -> None:
    assert read_cursor(cursor(text, number), str, int) == (text, number)


@pytest.mark.parametrize("text", ["", "x", "!!!!", "é", "W10", cursor("a"), cursor(1, "a"), cursor("a\x00", 1), "e30"])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read_cursor(text, str, int)
