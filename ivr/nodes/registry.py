"""All node types by name: one row each drives reading, checking, documentation and the editor."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ivr.nodes import (
    announcement,
    back,
    branch,
    callback,
    caller,
    carrier_status,
    digits,
    handoff,
    hangup,
    holiday,
    hours,
    language,
    menu,
    order_lookup,
    order_status,
    percentage,
    queue_status,
    return_status,
    say,
    set_variable,
    subflow,
    switch,
    voicemail,
    webhook,
)
from ivr.nodes.form import NodeType

_MODULES = (
    say, announcement, menu, digits, caller, order_lookup, order_status, return_status, carrier_status, branch, switch, hours,
    holiday, percentage, language, set_variable, callback, queue_status, webhook, subflow, back, handoff, voicemail, hangup,
)  # fmt: skip
NODE_TYPES: Mapping[str, NodeType] = MappingProxyType({module.TYPE.name: module.TYPE for module in _MODULES})
