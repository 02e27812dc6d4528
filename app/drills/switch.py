"""Faults of the switch itself: killed, stopped, deaf (16, 17)."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from pathlib import Path

from app.drills.field import FUSE, Field, Standing
from app.drills.link import logged
from app.drills.model import Drill, require

BACK_S = 20.0  # for a new call to be served: registrations are looked at every 15 s
PIDFD_GETFD = 438


async def _known_calls(field: Field, standing: Standing) -> set[str]:
    """The open calls, once all that stand are in the record: facts reach it within a second."""
    await field.until_api(
        "calls?limit=200", lambda page: sum(c["state"] != "ended" for c in page["items"]) >= len(standing.all()),
        "the record knows who stands",
    )  # fmt: skip
    return await _open_calls(field)


async def _open_calls(field: Field) -> set[str]:
    return {call["id"] for call in (await field.world.get("calls?limit=200"))["items"] if call["state"] != "ended"}


def _silence(field: Field, standing: Standing) -> None:
    """The switch took its calls along, and told no phone. O5 does not judge talks whose media node died."""
    field.established = []
    for call in (*standing.all(), *(offered for _, offered in standing.talking)):
        call.vanish()


async def _closed_once(field: Field, known: set[str], begun: float, *, within_s: float) -> float:
    """Until every call of the node is ended as node_lost and no agent is held by one. Returns the seconds."""
    page = await field.until_api(
        "calls?limit=200", lambda page: all(c["state"] == "ended" for c in page["items"] if c["id"] in known),
        "the calls of the node are closed", timeout_s=within_s * FUSE,
    )  # fmt: skip
    took = field.now() - begun
    reasons = {call["reason"] for call in page["items"] if call["id"] in known}
    require(reasons == {"node_lost"}, f"the calls of the node ended as {sorted(reasons)}")
    await field.until_api(
        "agents", lambda page: not any(a["state"] in ("RESERVED", "ENGAGED") for a in page["items"]), "agents are freed"
    )
    return took


async def _new_call_is_served(field: Field) -> float:
    begun = field.now()
    caller = await field.dial("queue")
    offered, _ = await field.served(timeout_s=BACK_S)
    await caller.media.more(10)
    took = field.now() - begun
    caller.hang_up()
    await offered.until("ended")
    return took


async def _killed(field: Field) -> str:
    """16: with people talking, waiting and in menus. There is no callback desk yet: who was lost is listed, once."""
    standing = await field.standing(talking=2, waiting=2, menu=1)
    known, noticed = await _known_calls(field, standing), logged(field, "ami_link_down")
    await field.random_instant(1.0)
    begun = field.now()
    old = field.kill("asterisk")
    _silence(field, standing)
    down = await field.until(lambda: logged(field, "ami_link_down") > noticed, "somebody notices", timeout_s=3.0 * FUSE)
    closed = await _closed_once(field, known, begun, within_s=5.0)
    require(field.pid("asterisk") != old, "the switch was not started again")
    served = await _new_call_is_served(field)
    left = await _open_calls(field)
    require(not left & known, "a call of the dead switch is back")
    return (
        f"noticed after {down:.1f} s; {len(known)} calls closed once as node_lost after {closed:.1f} s (callbacks: listed, "
        f"there is no desk for them yet); a new call served in {served:.1f} s"
    )


async def _stopped(field: Field) -> str:
    """17a: the process is stopped, and nobody sends SIGCONT."""
    standing = await field.standing(talking=1, waiting=1, menu=1)
    known = await _known_calls(field, standing)
    begun = field.now()
    old = field.kill("asterisk", signal.SIGSTOP)
    _silence(field, standing)
    alarm = await field.alarm("switch", raised=True, within_s=10.0 * FUSE)
    await field.until(
        lambda: field.told()["pids"]["asterisk"] not in (0, old), "the switch is started again", timeout_s=15 * FUSE
    )
    again = field.now() - begun
    closed = await _closed_once(field, known, begun, within_s=20.0)
    await field.alarm("switch", raised=False, within_s=15.0)
    served = await _new_call_is_served(field)
    return (
        f"alarm after {alarm:.1f} s, started again after {again:.1f} s, calls closed after {closed:.1f} "
        f"s, next served in {served:.1f} s"
    )


async def _deaf(field: Field) -> str:
    """17b: the process lives and answers on AMI, but no datagram reaches its SIP socket."""
    standing = await field.standing(talking=1, waiting=0, menu=0)
    known = await _known_calls(field, standing)
    begun = field.now()
    old = field.pid("asterisk")
    deafen(old, field.world.sip[1])
    alarm = await field.alarm("sip", raised=True, within_s=10.0 * FUSE)
    still = standing.talking[0][0].media.longest_gap_s(since=begun)
    require(still < 0.04 * FUSE, "the talk was disturbed before the switch was given up")
    await field.until(
        lambda: field.told()["pids"]["asterisk"] not in (0, old), "the switch is started again", timeout_s=25 * FUSE
    )
    again = field.now() - begun
    _silence(field, standing)
    await _closed_once(field, known, begun, within_s=30.0)
    await field.alarm("sip", raised=False, within_s=15.0)
    served = await _new_call_is_served(field)
    return (
        f"alarm after {alarm:.1f} s, talks undisturbed until it was started again after {again:.1f} s, "
        f"next served in {served:.1f} s"
    )


def deafen(pid: int, port: int) -> None:
    """Nothing reaches the process's UDP socket of this port any more: the socket is tied to a peer that does not exist.
    Raises OSError when the socket cannot be had (needs the rights of its owner, and to be an ancestor)."""
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            if not entry.readlink().name.startswith("socket:"):
                continue
            copied = libc.syscall(PIDFD_GETFD, process, int(entry.name), 0)
            if copied < 0:
                raise OSError(ctypes.get_errno(), "a socket of the switch cannot be had")
            with socket.socket(fileno=copied) as found:
                if (
                    found.type == socket.SOCK_DGRAM
                    and found.family == socket.AF_INET
                    and found.getsockname()[1] == port
                ):
                    found.connect(("127.0.0.1", 9))
                    return
    finally:
        os.close(process)
    raise OSError(f"there is no socket with port {port}")


DRILLS = (
    Drill(16, "switch killed", "noticed ≤ 3 s, calls closed once as node_lost, agents freed, no ghosts", _killed,
          times=30, short=True),
    Drill(17, "switch stopped", "alarm ≤ 10 s, started again by its supervisor", _stopped),
    Drill(17, "switch deaf to SIP", "alarm ≤ 10 s, started again by its supervisor", _deaf),
)  # fmt: skip
