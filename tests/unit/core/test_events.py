"""Every event of the house: frozen, written as JSON and read back the same, also by another release."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.events import DomainEvent, from_record, kinds, to_record
from core.events.base import _KINDS

NOW = datetime(2026, 11, 24, 9, 0, 0, 123000, tzinfo=UTC)
OURS = {kind: cls for kind, cls in kinds().items() if cls.__module__.startswith("core.events.")}
TOLD = [json.loads(line) for line in (Path(__file__).parent / "events-0.1.jsonl").read_text("utf-8").splitlines()]

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ZONE = st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-9, minutes=-30))])
MOMENT = st.builds(
    lambda ms, zone: (datetime(1970, 1, 2, tzinfo=UTC) + timedelta(milliseconds=ms)).astimezone(zone),
    st.integers(0, 4_000_000_000_000), ZONE,
)  # fmt: skip
BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT, int: st.integers(), float: NUMBER, bool: st.booleans(), datetime: MOMENT,
    datetime | None: st.none() | MOMENT, dict[str, int]: st.dictionaries(TEXT, st.integers(), max_size=3),
    dict[str, Any]: st.dictionaries(TEXT, VALUE, max_size=3), dict[str, str]: st.dictionaries(TEXT, TEXT, max_size=3),
    tuple[str, ...]: st.lists(TEXT, max_size=3).map(tuple),
}  # fmt: skip


def any_event(cls: type[DomainEvent]) -> st.SearchStrategy[DomainEvent]:
    hints = get_type_hints(cls)
    return st.builds(cls, **{field.name: BY_TYPE[hints[field.name]] for field in fields(cls)})


@pytest.mark.parametrize("kind", sorted(OURS))
@settings(max_examples=15)
@given(data=st.data())
def test_an_event_written_down_and_read_back_is_the_same(kind: str, data: st.DataObject) -> None:
    event = data.draw(any_event(OURS[kind]))
    record = json.loads(json.dumps(to_record(event)))
    assert record["kind"] == kind
    assert from_record(record) == event
    assert json.loads(json.dumps(to_record(from_record(record)))) == {
        **record, **{name: _utc(value) for name, value in record.items() if isinstance(getattr(event, name, 0), datetime)}
    }  # fmt: skip


def _utc(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="milliseconds")


@pytest.mark.parametrize("kind", sorted(OURS))
def test_an_event_is_frozen_and_names_the_interaction_and_the_moment(kind: str) -> None:
    cls = OURS[kind]
    assert cls.kind == kind == cls.__name__
    assert {"interaction_id", "at"} <= {field.name for field in fields(cls)}
    assert all(field.kw_only for field in fields(cls)), "fields are added anywhere without moving others"
    event = from_record(next(record for record in TOLD if record["kind"] == kind))
    for field in fields(cls):
        with pytest.raises(FrozenInstanceError):
            setattr(event, field.name, None)


@pytest.mark.parametrize("record", TOLD, ids=lambda record: record["kind"])
def test_what_release_0_1_wrote_is_read_by_this_one(record: dict[str, Any]) -> None:
    """The file is never changed, only added to: a field that was renamed or taken away would lose journalled facts."""
    read = json.loads(json.dumps(to_record(from_record(record))))
    assert {name: read[name] for name in record} == record


def test_every_kind_stands_in_the_file_of_told_events() -> None:
    assert {record["kind"] for record in TOLD} == set(OURS), "add a line to events-0.1.jsonl for a new event"


def test_fields_of_a_newer_release_are_dropped_and_missing_ones_take_their_default() -> None:
    event = from_record({"kind": "CallEnded", "at": NOW.isoformat(), "reason": "completed", "mood": "cheerful"})
    assert to_record(event) == {
        "kind": "CallEnded", "interaction_id": "", "at": "2026-11-24T09:00:00.123+00:00", "reason": "completed",
        "cause": 16, "talk_s": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize("record", [{"kind": "CallEnded", "at": NOW.isoformat()}, {"kind": "Unheard", "at": ""}, {}])
def test_a_kind_or_field_that_must_be_there_and_is_not_is_told(record: dict[str, Any]) -> None:
    with pytest.raises(KeyError):
        from_record(record)


def test_a_moment_is_utc_to_the_millisecond_whatever_zone_it_was_told_in() -> None:
    shanghai = datetime(2026, 11, 24, 17, 0, 0, 123456, tzinfo=timezone(timedelta(hours=8)))
    event = from_record(to_record(OURS["AlertCleared"](at=shanghai, what="x")))
    assert event.at == NOW
    assert event.at.tzinfo is UTC


def test_the_catalogue_cannot_be_changed_from_outside() -> None:
    kinds().clear()  # type: ignore[attr-defined]
    assert kinds() == _KINDS
    assert len(OURS) > 40
