"""All node types by name: one row each drives reading, checking, documentation and the editor."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ivr.nodes import (
    branch,
    callback,
    digits,
    handoff,
    hangup,
    hours,
    language,
    menu,
    order_lookup,
    say,
    set_variable,
    voicemail,
)
from ivr.nodes.form import NodeType

_MODULES = (
    say,
    menu,
    digits,
    order_lookup,
    branch,
    hours,
    language,
    set_variable,
    callback,
    handoff,
    voicemail,
    hangup,
)
NODE_TYPES: Mapping[str, NodeType] = MappingProxyType({module.TYPE.name: module.TYPE for module in _MODULES})
