"""G.711 µ-law and A-law by table (ITU-T G.711). Shapes: int16 arrays in, bytes out, and back."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]


def _ulaw_value(code: int) -> int:
    code = ~code & 0xFF
    magnitude = ((code & 0x0F) << 3) + 0x84
    magnitude <<= (code & 0x70) >> 4
    return (0x84 - magnitude) if code & 0x80 else (magnitude - 0x84)


def _alaw_value(code: int) -> int:
    code ^= 0x55
    value = (code & 0x0F) << 4
    segment = (code & 0x70) >> 4
    value += 8 if segment == 0 else 0x108
    if segment > 1:
        value <<= segment - 1
    return value if code & 0x80 else -value


@cache
def _decode_table(payload_type: int) -> Pcm:
    value = _ulaw_value if payload_type == 0 else _alaw_value
    return np.array([value(code) for code in range(256)], dtype=np.int16)


@cache
def _encode_table(payload_type: int) -> NDArray[np.uint8]:
    """The nearest code for every 16-bit sample, found once from the decode table."""
    levels = _decode_table(payload_type).astype(np.int32)
    order = np.argsort(levels, kind="stable")
    ordered = levels[order]
    samples = np.arange(-32768, 32768)
    right = np.clip(np.searchsorted(ordered, samples), 1, 255)
    nearer_left = (samples - ordered[right - 1]) <= (ordered[right] - samples)
    return order[np.where(nearer_left, right - 1, right)].astype(np.uint8)


def encode(samples: Pcm, payload_type: int) -> bytes:
    """Samples → G.711 bytes; `payload_type` 0 = µ-law, 8 = A-law."""
    return bytes(_encode_table(payload_type)[samples.astype(np.int32) + 32768].tobytes())


def decode(payload: bytes, payload_type: int) -> Pcm:
    """G.711 bytes → samples."""
    return _decode_table(payload_type)[np.frombuffer(payload, dtype=np.uint8)]
