"""`aftercall call`: one call over the trunk account, as a customer would make it, and what came back.

Decides whether the call worked: it was answered and something was heard. Knows of the world only its `world.json`.
"""

from __future__ import annotations

import asyncio
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np

from app.cli_home import asynchronously
from app.softphone import Softphone
from core.errors import AftercallError

LOUD = 200  # a sample above this is sound, not the codec's noise


def place(home: Path, number: str, *, caller: str, keys: str, seconds: float, save: Path | None) -> int:
    """Places the call; prints one JSON object. Exit status 0 when it was answered and heard."""
    try:
        world = json.loads((home / "run" / "world.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AftercallError("cli:no-world", f"No world runs in {home}.", hint="`aftercall run` starts one.") from error
    told = asynchronously(_call(world, number or world["dids"]["echo"], caller, keys, seconds, save))
    print(json.dumps(told, ensure_ascii=False))
    return 0 if told["answered_ms"] is not None and told["heard_s"] > 0 else 1


async def _call(
    world: dict[str, Any], number: str, caller: str, keys: str, seconds: float, save: Path | None
) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    trunk, sip = world["trunk"], world["sip"]
    begun = loop.time()
    told: dict[str, Any] = {"number": number, "answered_ms": None, "status": 0, "heard_s": 0.0, "longest_gap_ms": None}
    async with await Softphone.open((sip["host"], sip["port"]), trunk["user"], trunk["password"]) as phone:
        call = await phone.call(number, from_user=caller)
        try:
            state = await call.until("talking", "ended", timeout_s=15)
        except TimeoutError:
            state = "silent"
        if state != "talking":
            return told | {"status": call.status}
        told |= {"answered_ms": round((call.at["talking"] - begun) * 1000, 1), "status": 200}
        if number == world["dids"]["echo"]:
            call.media.play((8000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)).astype(np.int16))
        for key in keys:
            if key == ",":
                await _listen(call, 1.0)
            else:
                call.media.send_digits(key)
                await call.media.said()
        await _listen(call, seconds)
        told["ended_by"] = call.ended_by if call.state == "ended" else "us"
        told["longest_gap_ms"] = round(call.media.longest_gap_s() * 1000)
        sound = call.media.heard()
        call.hang_up()
    told["heard_s"] = round(float(np.count_nonzero(np.abs(sound.astype(np.int32)) > LOUD)) / 8000, 2)
    if save is not None:
        with wave.open(str(save), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(sound.astype("<i2").tobytes())
    return told


async def _listen(call: Any, seconds: float) -> None:
    """Until the seconds are over or the call is."""
    try:
        await call.until("ended", timeout_s=seconds)
    except TimeoutError:
        return
