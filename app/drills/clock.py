"""The wall clock jumps an hour ahead, then two back, under live calls (28)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from app.drills.field import FUSE, Field, gaps
from app.drills.model import Drill, require
from app.world.bundle import ensure

FILE = "drill-clock"
HOUR = 3600
NO_REDIS = "redis://127.0.0.1:1/0"  # its allocator cannot live under libfaketime; nothing on a caller's path needs it


def environment(folder: Path) -> dict[str, str]:
    """What a world is started with, so that `move` moves its wall clock: every process of it, Asterisk too. Never the
    monotonic clock, nor the times of files."""
    folder.chmod(0o755)  # whoever it runs as reads the file
    file = folder / FILE
    _write(file, 0)
    # libfaketime takes Python's way to sleep (a moment of the monotonic clock) for one of the wall clock, and refuses it.
    python = folder / "drill-python"
    python.mkdir(exist_ok=True)
    python.chmod(0o755)
    (python / "sitecustomize.py").write_text(
        "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], seconds) and None\n",
        encoding="ascii",
    )
    (python / "sitecustomize.py").chmod(0o644)
    return {
        "LD_PRELOAD": str(ensure("clock").programs["libfaketime"]), "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
        "FAKETIME_DISABLE_SHM": "1", "PYTHONPATH": str(python),
    }  # fmt: skip


def _write(file: Path, seconds: int) -> None:
    new = file.with_suffix(".new")
    new.write_text(f"{seconds:+d}\n", encoding="ascii")
    new.chmod(0o644)
    new.replace(file)


async def _moved(field: Field, seconds: int) -> None:
    """Until the world's clock is `seconds` off ours."""
    _write(field.world.home.parent / FILE, seconds)
    await asyncio.sleep(2.0)  # each process looks at the file once a second


async def _jumps(field: Field) -> str:
    standing = await field.standing(talking=1, waiting=2, menu=1)
    caller, offered = standing.talking[0]
    talking_id = offered.header("x-aftercall-interaction")
    order = await field.waiting_order()
    begun = field.now()
    try:
        for seconds in (HOUR, -HOUR):
            await _moved(field, seconds)
            fresh = await field.dial("menu")
            await field.hears(fresh, "menu-main", within_s=8.0)
            await asyncio.sleep(4.0)  # longer than any heartbeat may be late
            everybody = (*standing.all(), offered)
            require(all(call.state == "talking" for call in everybody), f"somebody was cut off at {seconds:+d} s")
            require(
                (await field.waiting_order())[: len(order)] == order,
                f"the order of those who wait has changed at {seconds:+d} s",
            )
            require(await field.health() != {}, "the product does not answer")
            fresh.hang_up()
        gap = max(0.0, gaps(field.established, begun) - field.own_lag_s(begun))
        music = max(call.media.longest_gap_s(since=begun) for call in standing.waiting)
        require(music < 0.5 * FUSE, f"music stood still for {music:.2f} s: a waiting caller was evacuated")
        talked = field.now() - caller.at["talking"]
        caller.hang_up()
        again, first = await field.served()
        require(first == order[0], "somebody was served out of turn")
        await again.media.more(10)
        story = await field.until_api(f"calls/{talking_id}", lambda it: it["state"] == "ended", "the call has its end")
        require(
            abs(story["talk_s"] - talked) < 5.0 * FUSE,
            f"a talk of {talked:.0f} s is told to have lasted {story['talk_s']:.0f} s",
        )
        told = (await field.until_api(
            f"calls/{first}", lambda it: any(e["kind"] == "OfferAccepted" for e in it["timeline"]), "the offer is told"
        ))["timeline"]  # fmt: skip
        waited = [event["data"]["waited_s"] for event in told if event["data"].get("waited_s") is not None]
        require(bool(waited), "no wait is told")
        real = field.now() - begun + 30.0
        require(all(0 <= seconds < real for seconds in waited), f"waits of {waited} s are told")
    finally:
        await _moved(field, 0)
    return (
        f"+1 h and −1 h: nobody moved, gap {gap * 1000:.0f} ms, talk of {talked:.0f} s told as "
        f"{story['talk_s']:.0f} s, waits {waited}"
    )


DRILLS = (
    Drill(28, "clock jumps ± 1 h", "durations from the monotonic clock, no negative wait, nobody evacuated", _jumps,
          moved_clock=True, times=2, settings={"REDIS__URL": NO_REDIS}),
)  # fmt: skip
