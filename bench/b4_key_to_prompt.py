"""B4: from a key to the first sound of what it leads to, our menu beside the same menu written in plain dialplan.

Both on one Asterisk with the same prompts, callers of both at the same time. The clock runs from the key's last packet on
the wire to the arrival of the packet that holds the beginning of the next prompt, which is known by its content. Promise:
at most 10 ms more at the median.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path

from app.softphone import Call, Softphone, listen
from app.softphone.g711 import Pcm
from app.world.outside import OutsideWorld
from bench.figures import Figure, at, figure, spread
from bench.switch import Switch
from core.prompts.library import OURS

ROUNDS, AT_ONCE = 8, 4
PLAIN = "8804"
MORE_MS = 10.0
WELCOME_S, WINDOW_S, PIECE_S = 2.6, 1.2, 0.5
KEYS = (("9", "zh/menu-main"), ("9", "en/menu-main"), ("2", "en/returns-how"), ("*", "en/menu-main"),
        ("1", "en/ask-order-number"))  # fmt: skip
MAIN = "{o}/${{L}}/menu-main&{o}/${{L}}/silence-200&{o}/${{L}}/menu-other-language"
RETURNS = "{o}/${{L}}/returns-how&{o}/${{L}}/silence-200&{o}/${{L}}/menu-person-or-main"
DIALPLAN = f"""[from-trunk](+)
exten => {PLAIN},1,Answer()
 same => n,Set(L=en)
 same => n,Playback({{o}}/${{{{L}}}}/welcome)
 same => n,Goto(bench-main,s,1)
[bench-main]
exten => s,1,Background({MAIN})
 same => n,WaitExten(5)
exten => 1,1,Background({{o}}/${{{{L}}}}/ask-order-number)
 same => n,WaitExten(4)
exten => 2,1,Goto(bench-returns,s,1)
exten => 9,1,Set(L=${{{{IF($["${{{{L}}}}"="en"]?zh:en)}}}})
 same => n,Goto(s,1)
[bench-returns]
exten => s,1,Background({RETURNS})
 same => n,WaitExten(5)
exten => *,1,Goto(bench-main,s,1)
"""


async def press(call: Call, chance: random.Random) -> None:
    """Goes through the menu at a caller's pace: no key at the same place in a packet or a prompt as another."""
    await asyncio.sleep(WELCOME_S + chance.uniform(0, 0.5))
    for key, _ in KEYS:
        call.media.send_digits(key)
        await asyncio.sleep(chance.uniform(WINDOW_S + 0.1, WINDOW_S + 0.4))
    call.hang_up()


def delays_ms(call: Call, beginnings: dict[str, Pcm]) -> list[float]:
    """From each key to the prompt it led to, as far as the prompts were heard."""
    heard, media, found_ms = call.media.heard(), call.media, []
    for (_, prompt), sent in zip(KEYS, media.keys_sent, strict=False):
        # The sound's second at which the key went out, as far as is known: a little before it.
        first = max(0, round((sent - media.arrivals[0] - 0.1) * listen.RATE))
        found = listen.find(heard[first : first + round((WINDOW_S + 0.1) * listen.RATE)], beginnings[prompt])
        if found.likeness >= 0.6:
            found_ms.append((media.came_at(found.at_s + first / listen.RATE) - sent) * 1000)
    return found_ms


async def one_call(phone: Softphone, did: str, beginnings: dict[str, Pcm], number: int) -> list[float]:
    call = await phone.call(did, from_user=f"+1202557{number:04d}")
    if await call.until("talking") != "talking":
        raise ConnectionError(f"{did} was not answered: {call.status}")
    await press(call, random.Random(number))
    return delays_ms(call, beginnings)


async def _run() -> list[Figure]:
    beginnings = {name: listen.read_wav(OURS / f"{name}.wav")[: int(PIECE_S * listen.RATE)] for _, name in KEYS}
    ms: dict[str, list[float]] = {"ours": [], "plain": []}
    with tempfile.TemporaryDirectory(prefix="aftercall-b4-", ignore_cleanup_errors=True) as folder:
        async with OutsideWorld(Path(folder), settings={"SPEECH__ENABLED": "false"}) as world:
            switch = Switch(world)
            await switch.add(extensions=DIALPLAN.format(o=OURS))
            await switch.heard()
            dids = {"ours": world.facts["dids"]["menu"], "plain": PLAIN}
            phone = await world.caller()
            for turn in range(ROUNDS):
                async with asyncio.TaskGroup() as group:
                    calls = [
                        (way, group.create_task(one_call(phone, did, beginnings, turn * 100 + line)))
                        for line in range(AT_ONCE) for way, did in dids.items()
                    ]  # fmt: skip
                for way, call in calls:
                    ms[way] += call.result()
    ours, plain = ms["ours"], ms["plain"]
    pressed = ROUNDS * AT_ONCE * len(KEYS)
    mine, theirs = at(ours, 50), at(plain, 50)
    return [
        figure("B4", "key_to_prompt_p50_ms", mine, theirs, target=f"<= peer + {MORE_MS:g} ms", ok=mine <= theirs + MORE_MS,
               n=len(ours), spread=spread(ours), peer_spread=spread(plain)),
        figure("B4", "key_to_prompt_p99_ms", at(ours, 99), at(plain, 99), target="reported", ok=True, n=len(ours)),
        figure("B4", "keys_without_their_prompt", pressed - len(ours), pressed - len(plain), target="<= 1 %",
               ok=pressed - len(ours) <= 0.01 * pressed, n=pressed),
    ]  # fmt: skip


def run() -> list[Figure]:
    """The figures of B4."""
    return asyncio.run(_run())
