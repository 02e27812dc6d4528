"""The published JSON Schema (2020-12) of a policy's text, from the rows of its form: for editors that complete and check.

Pure. Says what a single value may be; what only shows in the whole (unknown names, circles, rings that ask for more) is
found by `text.py` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from routing.policy.form import (
    BAND,
    CALLBACK,
    CLASS,
    MOST_NAMES,
    MOST_QUEUES,
    MOST_RINGS,
    NAME,
    NUMBER,
    QUEUE,
    RING,
    SURGE,
    TOP,
    WAITS,
    WEIGHTS,
    WITHOUT_TARGET,
    Row,
)
from routing.policy.model import CHOICES

Json = dict[str, Any]
ID = "urn:aftercall:policy"
_LABEL = {"minLength": 1, "maxLength": 64}
_NAME = {"type": "string", "pattern": f"^{NAME}$"}
_PLACE = {"type": "string", "pattern": f"^({'|'.join(WITHOUT_TARGET)}|queue {NAME}|number {NUMBER})$"}


def schema() -> Json:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "Aftercall routing policy",
        **_object(TOP, needed=("queues",)),
    }


def _object(rows: Sequence[Row], needed: Sequence[str] = ()) -> Json:
    shape: Json = {
        "type": "object",
        "additionalProperties": False,
        "properties": {row.key: {"description": row.help, **_value(row)} for row in rows},
    }
    return {**shape, "required": list(needed)} if needed else shape


def _value(row: Row) -> Json:
    match row.kind:
        case "number" | "whole":
            return _number(row)
        case "flag":
            return {"type": "boolean"}
        case "word":
            return {"enum": list(row.words)}
        case "name":
            return _NAME
        case "window":
            return {"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}-[0-9]{1,2}:[0-9]{2}$"}
        case "choice":
            return {"anyOf": [{"enum": list(CHOICES)}, _object(WEIGHTS)]}
        case "list":
            return {"type": "array", "items": _NAME, "maxItems": MOST_NAMES}
        case "names":
            return {"type": "array", "items": _NAME, "maxItems": MOST_NAMES, "uniqueItems": True}
        case "words":
            return {"type": "array", "items": {"enum": list(row.words)}, "maxItems": MOST_NAMES}
        case "levels":
            return _table(_NAME, {"type": "integer", "minimum": int(row.low), "maximum": int(row.high)})
        case "classes":
            return _table(_LABEL, _NAME)
        case "points":
            return _table(_LABEL, _number(row))
        case "overflow":
            return _table({"enum": list(row.words)}, _PLACE)
        case "bands":
            return {"type": "array", "items": _object(BAND, ("from_minor", "points")), "maxItems": MOST_NAMES}
        case "rings":
            return {"type": "array", "items": _object(RING, ("after_s",)), "maxItems": MOST_RINGS}
        case "waits":
            return _object(WAITS)
        case "callback":
            return _object(CALLBACK)
        case "class_table":
            return _table(_NAME, _object(CLASS))
        case "queue_table":
            return _table(_NAME, _object(QUEUE), MOST_QUEUES)
        case "surge_table":
            return _table(_NAME, _object(SURGE))
    raise ValueError(f"{row.kind} has no schema")


def _number(row: Row) -> Json:
    kind = "integer" if row.kind == "whole" else "number"
    low = "exclusiveMinimum" if row.positive else "minimum"
    return {"type": kind, low: row.low, "maximum": row.high}


def _table(names: Json, values: Json, most: int = MOST_NAMES) -> Json:
    return {"type": "object", "propertyNames": names, "additionalProperties": values, "maxProperties": most}
