"""Tells systemd, when it started us, that we live and what we are: `sd_notify` without a library.

Nothing happens when nobody listens; never waits, never raises.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress

WATCHDOG_S = 1.0


async def watchdog() -> None:
    """Says once a second that this loop lives, until cancelled."""
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(WATCHDOG_S)


def notify(words: str) -> None:
    """`READY=1`, `WATCHDOG=1`, `STATUS=…`, one a line."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    address = "\0" + place[1:] if place.startswith("@") else place
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as link:
        link.sendto(words.encode(), address)
