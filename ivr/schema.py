"""The published JSON Schema (2020-12) of a flow's text, from the rows of the registry: for editors that complete and check.

Pure. Says what a single value may be; what only shows in the whole (exits that lead nowhere, circles, prompts without a sound)
is found by reading the flow alone.
"""

from __future__ import annotations

from typing import Any

from core.prompts.catalogue import LANGUAGES, NAME
from ivr.nodes.form import AGENT, SKILL, Field, NodeType
from ivr.nodes.registry import NODE_TYPES
from ivr.nodes.spoken import FORMS, MOST_PARTS, WORD

Json = dict[str, Any]
ID = "urn:aftercall:flow"
_NODE_NAME: Json = {"type": ["string", "integer"], "pattern": f"^{NAME.pattern}$"}
_WORD: Json = {"type": "string", "pattern": f"^{WORD.pattern}$"}
_NAMED: Json = {"type": "string", "pattern": f"^{SKILL.pattern}$"}
_EXPRESSION: Json = {"type": ["string", "integer", "boolean"], "maxLength": 500, "description": "an expression (CEL)"}


def schema() -> Json:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "Aftercall voice menu",
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "start", "person", "nodes"],
        "properties": {
            "name": _NODE_NAME,
            "start": {**_NODE_NAME, "description": "the node where a call begins"},
            "person": {**_NODE_NAME, "description": "where callers go when nothing else helps"},
            "languages": {
                "type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": list(LANGUAGES)},
                "description": "the first is spoken first",
            },
            "nodes": {
                "type": "object", "minProperties": 1, "maxProperties": 400,
                "propertyNames": {"pattern": f"^{NAME.pattern}$"}, "additionalProperties": {"$ref": "#/$defs/node"},
            },
        },
        "$defs": {
            "node": {"type": "object", "required": ["type"], "oneOf": [_node(row) for row in NODE_TYPES.values()]},
            "spoken": _spoken(),
        },
    }  # fmt: skip


def _node(row: NodeType) -> Json:
    named = {spec.name: {**_NODE_NAME, **({"description": spec.help} if spec.help else {})} for spec in row.exits}
    exits: Json = {"type": "object", "properties": named}
    if row.key_exits:
        exits["patternProperties"] = {"^[0-9*#]$": _NODE_NAME}
    exits["additionalProperties"] = _NODE_NAME if row.case_field or row.any_exits else False
    properties: Json = {
        "type": {"const": row.name},
        "note": {},
        "repeat": {"enum": ["never", "allowed"]},
        "exits": exits,
        **({"next": _NODE_NAME} if "next" in named else {}),
        **{spec.name: {**({"description": spec.help} if spec.help else {}), **_value(spec)} for spec in row.fields},
    }
    needed = ["type", *(spec.name for spec in row.fields if spec.required)]
    return {
        "description": row.summary, "properties": properties, "required": needed, "additionalProperties": False,
    }  # fmt: skip


def _value(spec: Field) -> Json:
    match spec.kind:
        case "number":
            return {"type": "integer", "minimum": spec.low, "maximum": spec.high}
        case "seconds":
            return {"type": "number", "minimum": spec.low, "maximum": spec.high}
        case "flag":
            return {"type": "boolean"}
        case "spoken":
            return {"$ref": "#/$defs/spoken"}
        case "word":
            return {"anyOf": [_WORD, {"const": ""}]} if spec.default == "" else _WORD
        case "text":
            return {"type": "string", "maxLength": 200}
        case "key":
            return {"enum": ["#", "*", ""]}
        case "choice":
            return {"enum": list(spec.choices)}
        case "language":
            return {"enum": [*LANGUAGES, "other"]}
        case "expression":
            return _EXPRESSION
        case "expressions":
            return {"type": "object", "minProperties": 1, "additionalProperties": _EXPRESSION}
        case "skills":
            level = {"type": "integer", "minimum": 1, "maximum": 5}
            return {"type": "object", "propertyNames": {"pattern": _NAMED["pattern"]}, "additionalProperties": level}
        case "values":
            value: Json = {"type": ["string", "number", "boolean"]}
            listed: Json = {"type": "array", "minItems": 1, "items": value}
            return {"type": "object", "minProperties": 1, "additionalProperties": {"anyOf": [value, listed]}}
        case "date":
            return {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
        case "agent":
            return {"type": ["string", "integer"], "pattern": f"^{AGENT.pattern}$"}
        case "value":
            return {"type": ["string", "number", "boolean"]}
        case _:
            return _NAMED  # queue, calendar and others that go by a name


def _spoken() -> Json:
    prompt = {"type": ["string", "integer"], "pattern": f"^{NAME.pattern}$", "description": "a prompt by its name"}
    pause = {"type": "integer", "minimum": 1, "maximum": 5000, "description": "milliseconds of silence"}
    forms = [
        {"type": "object", "required": [form], "additionalProperties": False, "properties": {form: _WORD}}
        for form in FORMS
    ]
    silence = {"type": "object", "required": ["pause"], "additionalProperties": False, "properties": {"pause": pause}}
    part: Json = {"anyOf": [prompt, silence, *forms]}
    return {"anyOf": [part, {"type": "array", "minItems": 1, "maxItems": MOST_PARTS, "items": part}]}
