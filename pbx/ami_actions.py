"""The actions we ask of Asterisk, as (name, headers): the one place where their header names are known.

Decides how an order is worded. Does not send (`ami.py`) and does not say when (`control.py`, `resync.py`).
Invariant: text of strangers (a caller's name or number) is cut down here to what cannot be taken for syntax; everything
else with a line break in it is refused by the encoder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

Headers = Mapping[str, str | Sequence[str]]
Order = tuple[str, Headers]

LONGEST_NAME, LONGEST_NUMBER, LONGEST_HEADER = 80, 40, 120
_NUMBER = re.compile(r"\+?[0-9]{2,20}")
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


def login(user: str, secret: str) -> Order:
    return "Login", {"Username": user, "Secret": secret}


def ping() -> Order:
    return "Ping", {}


def ring(
    extension: str, leg_id: str, *, ring_s: float, context: str, variables: Mapping[str, str],
    caller_number: str, caller_name: str, sip_headers: Mapping[str, str], trunk: str = "",
) -> Order:  # fmt: skip
    """Rings a phone, or a number outside over `trunk`; whoever answers goes to `context`. The leg gets the id `leg_id`.

    Raises ValueError for a header's name, or a number that is none.
    """
    if trunk and not _NUMBER.fullmatch(extension):
        raise ValueError(f"no number: {extension!r}")
    assigned = [f"{name}={value}" for name, value in variables.items()]
    for name, value in sip_headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"no name for a SIP header: {name!r}")
        assigned.append(f"PJSIP_HEADER(add,{name})={header_text(value)}")
    caller = f'"{shown_name(caller_name)}" <{shown_number(caller_number)}>'
    channel = f"PJSIP/{extension}@{trunk}" if trunk else f"PJSIP/{extension}"
    return "Originate", {
        "Channel": channel, "ChannelId": leg_id, "Context": context, "Exten": "s", "Priority": "1",
        "Async": "true", "Timeout": str(max(1, int(ring_s * 1000))), "CallerID": caller, "Variable": assigned,
    }  # fmt: skip


def start_watchdog() -> Order:
    """The dialplan's own loop, in a channel that nobody calls."""
    return "Originate", {
        "Channel": "Local/s@ac-watchdog/n", "Context": "ac-watchdog", "Exten": "tail", "Priority": "1", "Async": "true",
    }  # fmt: skip


def hang_up(channel: str, cause: int) -> Order:
    return "Hangup", {"Channel": channel, "Cause": str(cause)}


def move(channel: str, context: str, extension: str = "s") -> Order:
    return "Redirect", {"Channel": channel, "Context": context, "Exten": extension, "Priority": "1"}


def move_both(channel: str, context: str, other: str, other_context: str) -> Order:
    """Two channels that are in one bridge, at once: neither hears of the other's going."""
    return "Redirect", {
        "Channel": channel, "Context": context, "Exten": "s", "Priority": "1",
        "ExtraChannel": other, "ExtraContext": other_context, "ExtraExten": "s", "ExtraPriority": "1",
    }  # fmt: skip


def set_variable(name: str, value: str, channel: str = "") -> Order:
    """Without a channel: a global one."""
    where = {"Channel": channel} if channel else {}
    return "Setvar", {**where, "Variable": name, "Value": value}


def get_variable(name: str, channel: str = "") -> Order:
    where = {"Channel": channel} if channel else {}
    return "Getvar", {**where, "Variable": name}


def list_channels(variables: Iterable[str]) -> Order:
    """Every channel with these of its variables."""
    return "Status", {"Variables": ",".join(variables), "AllVariables": "false"}


def list_devices() -> Order:
    return "DeviceStateList", {}


# --- strangers' text


def shown_name(text: str) -> str:
    """A caller's name for a phone's display: one line, nothing that ends the quotes."""
    kept = "".join(mark if mark.isprintable() and mark not in '"\\<>' else " " for mark in text)
    return " ".join(kept.split())[:LONGEST_NAME]


def shown_number(text: str) -> str:
    return re.sub(r"[^0-9+*#]", "", text)[:LONGEST_NUMBER]


def header_text(value: str) -> str:
    """A SIP header's value inside a dialplan function: printable, without the signs the function would take for its own."""
    return "".join(mark for mark in value if mark.isprintable() and mark not in ',"()${}\\;')[:LONGEST_HEADER]
