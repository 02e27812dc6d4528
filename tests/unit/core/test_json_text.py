"""JSON and moments are what Python's own library would have made of them, only sooner."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.db.types import stored_moment
from core.json_text import from_json, json_text, moment_text
from tests.lots import lots

ZONES = st.one_of(st.just(UTC), st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes))))
MOMENTS = st.datetimes(timezones=ZONES)
TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=lots(150))
@given(MOMENTS)
def test_a_moment_is_written_as_isoformat_writes_it(moment: datetime) -> None:
    assert moment_text(moment) == moment.isoformat(timespec="milliseconds")


@pytest.mark.parametrize("microsecond", [0, 1, 999, 1000, 120_000, 999_999])
def test_milliseconds_are_cut_and_always_three(microsecond: int) -> None:
    moment = datetime(2026, 11, 24, 9, 0, 5, microsecond, tzinfo=UTC)
    assert moment_text(moment) == f"2026-11-24T09:00:05.{microsecond // 1000:03}+00:00"
    assert stored_moment(moment) == f"2026-11-24 09:00:05.{microsecond // 1000:03}000"


def test_a_moment_without_its_zone_keeps_its_form_and_is_not_stored() -> None:
    naive = datetime(2026, 11, 24, 9, 0, 5, 120_000)  # noqa: DTZ001 (that is what is asked)
    assert moment_text(naive) == "2026-11-24T09:00:05.120"
    with pytest.raises(ValueError, match="time zone"):
        stored_moment(naive)


@settings(max_examples=lots(150))
@given(VALUES)
def test_what_is_written_reads_the_same_by_any_reader(value: object) -> None:
    text = json_text(value)
    assert json.loads(text) == value
    assert from_json(text) == value


def test_what_older_releases_wrote_is_read_also_where_it_is_no_strict_json() -> None:
    assert from_json('{"half": "\\ud800"}') == {"half": "\ud800"}
    assert math.isnan(from_json("NaN"))
    with pytest.raises(ValueError, match="Expecting"):
        from_json("{")
