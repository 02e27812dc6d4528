"""B5: what a call with menu and order look-up costs our process, beside a FastAGI server that knows the answers by heart.

Three ways take turns on one Asterisk with the same callers, keys and prompts: ours; a bare asyncio server that sends the
very commands ours sent (recorded from a real call); the same menu in plain dialplan. Every caller must hear the order's
status. Processor time is the kernel's account of the process, ours less what it uses when nobody calls. Promise: at most
1 ms a call more than the bare server.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from app.softphone import Call, listen
from app.softphone.g711 import Pcm
from app.world.outside import Json, OutsideWorld
from bench.bare_agi import Recorder, bare_server
from bench.figures import Figure, figure, spread
from bench.processor import processor_s
from bench.switch import Switch

WAYS = ("ours", "bare", "plain")
ROUNDS, CALLS, AT_ONCE = 3, 48, 24
RECORD, BARE, PLAIN = "8805", "8806", "8807"
IDLE_S = 4.0
SETTLE_S = 2.0  # what a call leaves behind is written down by then
TYPED = {"tone_ms": 60, "gap_ms": 40}
MORE_MS = 1.0
AGI = """exten => {did},1,Gosub(ac-arrive,s,1(menu,{did}))
 same => n,Set(AC_STAGE=menu)
 same => n,Set(AGIEXITONHANGUP=yes)
 same => n,AGI(agi://127.0.0.1:{port}/flow)
 same => n,Hangup()
"""
_BLIP = np.zeros(160, dtype=np.int16)  # one packet, so that Answer() sees media


@dataclass
class Spent:
    """Milliseconds of processor time a call, a round each: of the server, and of Asterisk."""

    server: list[float] = field(default_factory=list)
    asterisk: list[float] = field(default_factory=list)
    failed: int = 0


async def one_call(world: OutsideWorld, did: str, order: Json, number: int) -> Call:
    """A customer who knows the menu: 1, the order's number, its second factor, and hangs up in the middle of the status."""
    phone = await world.caller()
    call = await phone.call(did, from_user=f"+1202556{number % 10_000:04d}")
    call.media.sending = False
    call.media.play(_BLIP)
    if await call.until("talking") == "talking":
        await asyncio.sleep(2.3)  # the welcome is said to its end
        for keys in ("1", f"{order['order_no']}#", f"{order['second_factor']}#"):
            call.media.send_digits(keys, **TYPED)
            await asyncio.sleep(len(keys) * 0.1 + 0.4)
        await asyncio.sleep(1.0)
        call.hang_up()
    return call


def sounds(command: str) -> list[str]:
    """The sounds a recorded command plays; [] when it plays none."""
    words = command.split('"')[1].split(",")[0] if command.startswith("EXEC ") else command.removeprefix("STREAM FILE ")
    if not command.startswith(("EXEC Background", "EXEC Playback", "STREAM FILE")):
        return []
    return words.split(" ")[0].split("&")


def plain_menu(commands: list[str]) -> str:
    """The same menu in the dialplan alone; the status is the one the recorded caller heard."""
    welcome, menu, order, factor, status = ("&".join(played) for played in map(sounds, commands) if played)
    return f"""exten => {PLAIN},1,Gosub(ac-arrive,s,1(menu,{PLAIN}))
 same => n,Playback({welcome})
 same => n,Read(KEY,{menu},1,,1,5)
 same => n,GotoIf($["${{KEY}}"!="1"]?end)
 same => n,Read(NUMBER,{order},12,,1,4)
 same => n,Read(FACTOR,{factor},12,,1,4)
 same => n,Playback({status})
 same => n(end),Hangup()
"""


async def recorded(world: OutsideWorld, switch: Switch, order: Json) -> list[str]:
    """The commands ours sends for such a call."""
    async with Recorder(world.facts["agi"]["port"]) as recorder:
        await switch.add(extensions="[from-trunk](+)\n" + AGI.format(did=RECORD, port=recorder.port))
        await switch.heard()
        call = await one_call(world, RECORD, order, 0)
        await call.phone.close()
        await switch.quiet()
    assert len(recorder.calls) == 1 and len([c for c in recorder.calls[0] if sounds(c)]) == 5, recorder.calls
    return recorder.calls[0]


async def one_round(world: OutsideWorld, did: str, order: Json, said: Pcm) -> int:
    """`CALLS` calls, `AT_ONCE` of them up at a time. How many did not hear the status."""
    turn = asyncio.Semaphore(AT_ONCE)
    calls: list[Call] = []

    async def one(number: int) -> None:
        await asyncio.sleep(number % AT_ONCE * 0.1)  # people do not press keys in step
        async with turn:
            calls.append(await one_call(world, did, order, number))

    async with asyncio.TaskGroup() as group:
        for number in range(CALLS):
            group.create_task(one(number))
    await asyncio.sleep(SETTLE_S)
    return sum(listen.find(call.media.heard(), said).likeness < 0.6 for call in calls)


async def _run() -> list[Figure]:
    spent = {way: Spent() for way in WAYS}
    settings = {"SPEECH__ENABLED": "false"}
    async with AsyncExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="aftercall-b5-", ignore_cleanup_errors=True))
        )
        world = await stack.enter_async_context(OutsideWorld(folder / "home", settings=settings))
        switch = Switch(world)
        order = world.facts["sample"]["orders"][0]
        commands = await recorded(world, switch, order)
        await switch.cli("module load app_read.so")  # the product needs none
        port, bare_pid = await stack.enter_async_context(bare_server(commands, folder))
        await switch.add(extensions="[from-trunk](+)\n" + AGI.format(did=BARE, port=port) + plain_menu(commands))
        status = sounds(commands[-1])
        said = listen.read_wav(f"{status[0]}.wav")[: listen.RATE]
        pids = {"ours": world.facts["pids"]["controller"], "bare": bare_pid, "plain": bare_pid}
        dids = {"ours": world.facts["dids"]["menu"], "bare": BARE, "plain": PLAIN}
        asterisk = world.facts["asterisk"]["pid"]
        before = processor_s(pids["ours"])
        await asyncio.sleep(IDLE_S)
        idle = (processor_s(pids["ours"]) - before) / IDLE_S
        loop = asyncio.get_running_loop()
        for _ in range(ROUNDS):
            for way in WAYS:
                begun, server, switch_s = loop.time(), processor_s(pids[way]), processor_s(asterisk)
                spent[way].failed += await one_round(world, dids[way], order, said)
                own = processor_s(pids[way]) - server - (idle * (loop.time() - begun) if way == "ours" else 0.0)
                spent[way].server.append(own * 1000 / CALLS)
                spent[way].asterisk.append((processor_s(asterisk) - switch_s) * 1000 / CALLS)
                await switch.quiet()
    ours, bare, plain = (spent[way] for way in WAYS)
    mine, theirs = float(np.median(ours.server)), float(np.median(bare.server))
    switch_ours, switch_plain = float(np.median(ours.asterisk)), float(np.median(plain.asterisk))
    n = ROUNDS * CALLS
    return [
        figure("B5", "processor_ms_per_call", mine, theirs, target=f"<= peer + {MORE_MS:g} ms", ok=mine <= theirs + MORE_MS,
               n=n, spread=spread(ours.server), peer_spread=spread(bare.server)),
        figure("B5", "asterisk_ms_per_call_vs_plain_dialplan", switch_ours, switch_plain, target="reported", ok=True, n=n,
               spread=spread(ours.asterisk), peer_spread=spread(plain.asterisk)),
        figure("B5", "failed_calls", ours.failed, bare.failed + plain.failed, target="= 0", ok=ours.failed == 0, n=n),
    ]  # fmt: skip


def run() -> list[Figure]:
    """The figures of B5."""
    return asyncio.run(_run())
