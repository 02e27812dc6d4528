"""FastAGI on the wire: the environment, replies, and commands that stay one line. Knows no sockets."""

from __future__ import annotations

import re
from dataclasses import dataclass

ENV_BOUND, LINE_BOUND = 64 * 1024, 8 * 1024
COMMAND_BOUND = (
    8000  # Asterisk cuts what is longer into two commands, and every reply after that is to another question
)


class BadAgi(ValueError):
    """What came is no AGI."""


@dataclass(frozen=True)
class Reply:
    """`200 result=…`; `data` is the text in parentheses, `endpos` the place in samples where a file was stopped.

    1xx says that the reply is still to come, 5xx that there is none; `data` is what it says.
    """

    code: int
    result: str = ""
    data: str = ""
    endpos: int = 0


# The text ends at the last parenthesis: a variable's value may hold others.
_REPLY = re.compile(r"200 result=(-?\d*)(?: \((.*)\)(?= endpos=\d+$|$))?(?: endpos=(\d+))?")


def reply_of(line: str) -> Reply:
    """Raises BadAgi for a line that is no reply."""
    found = _REPLY.match(line)
    if found:
        return Reply(200, found.group(1), found.group(2) or "", int(found.group(3) or 0))
    code = re.match(r"([15]\d\d)(?:[ -]|$)", line)
    if code:
        return Reply(int(code.group(1)), data=line[4:])
    raise BadAgi(f"no reply: {line[:60]!r}")


def environment(lines: list[str]) -> dict[str, str]:
    """`agi_x: y` lines → {x: y}. Raises BadAgi for no lines, one without a colon, or a name that is not AGI's."""
    if not lines:
        raise BadAgi("no AGI environment: an empty line")
    env = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.startswith("agi_"):
            raise BadAgi(f"no AGI environment: {line[:60]!r}")
        env[name[4:]] = value.strip()
    return env


_PLAIN = re.compile(r"[\w./:-]+").fullmatch


def command(*words: str) -> bytes:
    """Words as one command, quoted. Raises ValueError for line breaks and NUL, and for what Asterisk would cut in two."""
    quoted = []
    for word in words:
        if _PLAIN(word):
            quoted.append(word)
            continue
        if any(mark in word for mark in "\r\n\0"):
            raise ValueError("an AGI word holds a line break or NUL")
        escaped = word.replace("\\", "\\\\").replace('"', '\\"')
        quoted.append(f'"{escaped}"')
    line = " ".join(quoted).encode() + b"\n"
    if len(line) > COMMAND_BOUND:
        raise ValueError(f"an AGI command of {len(line)} bytes is too long")
    return line
