"""AMI on the wire: bytes to blocks of headers, and actions to bytes. Knows no meaning and no sockets.

Invariants: a UTF-8 character split across two reads arrives whole; a block over the bound is dropped and counted, never
kept; a value with CR, LF or NUL is refused before anything is sent, so that one action stays one action.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from panoramisk.actions import Action

Block = dict[str, str | list[str]]
END = b"\r\n\r\n"
BLOCK_BOUND = 1 << 20


class UnsafeValue(ValueError):
    """An action that would not arrive as the one that was meant."""


class Framer:
    """`feed(bytes)` → the blocks completed by them. `dropped` counts blocks that were too large."""

    def __init__(self, bound: int = BLOCK_BOUND) -> None:
        self._rest = bytearray()
        self._bound = bound
        self._skipping = False
        self.dropped = 0

    def feed(self, data: bytes) -> list[Block]:
        seen = max(0, len(self._rest) - len(END) + 1)  # no end begins before it
        self._rest += data
        if self._rest.find(END, seen) < 0:
            self._check_bound()
            return []
        *whole, rest = bytes(self._rest).split(END)
        self._rest = bytearray(rest)
        blocks = []
        for raw in whole:
            if self._skipping:
                self._skipping = False  # the tail of the block that was too large
            elif len(raw) > self._bound:
                self.dropped += 1
            elif raw:
                blocks.append(headers_of(raw))
        self._check_bound()
        return blocks

    def _check_bound(self) -> None:
        if len(self._rest) >= self._bound + len(END):  # the last bytes may be the beginning of the end
            if not self._skipping:
                self.dropped += 1
            self._skipping = True
            del self._rest[: 1 - len(END)]


def headers_of(raw: bytes) -> Block:
    """Header name (lower case) → value; the values of a repeated header become a list, in order."""
    block: Block = {}
    for line in raw.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon:
            continue
        key, value = name.strip().lower(), value.strip()
        before = block.get(key)
        if before is None:
            block[key] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            block[key] = [before, value]
    return block


def first(block: Block, key: str) -> str:
    """The value of a header; the first where it is repeated; "" where it is missing."""
    value = block.get(key, "")
    return value if isinstance(value, str) else value[0]


def every(block: Block, key: str) -> list[str]:
    value = block.get(key, [])
    return [value] if isinstance(value, str) else list(value)


def encode(action_id: str, name: str, headers: Mapping[str, str | Sequence[str]]) -> bytes:
    """One action as bytes. Raises UnsafeValue for CR, LF or NUL anywhere in it, and for a header that is there twice."""
    values = {"Action": name, "ActionID": action_id, **headers}
    if len({key.lower() for key in values}) != len(headers) + 2:
        raise UnsafeValue(f"{name}: a header is there twice")  # Asterisk would take one, and we do not know which
    for key, value in values.items():
        for text in (key, *([value] if isinstance(value, str) else value)):
            if any(mark in text for mark in "\r\n\0"):
                raise UnsafeValue(f"{name}: {key} holds a line break or NUL")
    fields = {key: value if isinstance(value, str) else list(value) for key, value in values.items()}
    # panoramisk sorts the headers; Asterisk wants `Action` first only by custom, not by rule.
    return str(Action(fields)).encode()
