"""The power is cut; an author makes a mistake; a secret is changed (34–36)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from app.drills.field import FUSE, Field
from app.drills.link import logged
from app.drills.model import Drill, Missed, require
from ivr.catalogue import SAMPLE

FIRST_CALL_S = 60.0


async def _power_cut(field: Field) -> str:
    """35: every process of the world at once, and one more of them while they come up again."""
    standing = await field.standing(talking=1, waiting=2, menu=1)
    known = {call["id"] for call in (await field.world.get("calls?limit=200"))["items"] if call["state"] != "ended"}
    await field.random_instant(1.0)
    field.established = []
    pids = [pid for pid in field.told()["pids"].values() if pid]
    for pid in field.chance.sample(pids, len(pids)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for call in (*standing.all(), *(offered for _, offered in standing.talking)):
        call.vanish()
    begun = field.now()
    starting = asyncio.get_running_loop().create_task(field.world.start(timeout_s=FIRST_CALL_S * FUSE))
    role = await _one_more_dies(field)
    try:
        await starting
    except TimeoutError as error:
        raise Missed("the world does not come up again") from error
    await field.ready(0)
    caller = await field.dial("queue")
    offered, _ = await field.served(timeout_s=FIRST_CALL_S)
    first = field.now() - begun
    require(first < FIRST_CALL_S * FUSE, f"the first call was served after {first:.0f} s")
    await caller.media.more(10)
    page = await field.until_api(
        "calls?limit=200", lambda page: all(c["state"] == "ended" for c in page["items"] if c["id"] in known),
        "calls of before the cut have their end", timeout_s=30,
    )  # fmt: skip
    told = {call["id"]: call["reason"] for call in page["items"] if call["id"] in known}
    require(set(told) == known, f"{len(known - set(told))} calls of before the cut are forgotten")
    caller.hang_up()
    await offered.until("ended")
    return (
        f"{role} killed once more on the way; first call served after {first:.1f} s, {len(known)} calls "
        f"of before closed ({', '.join(sorted(set(told.values())))})"
    )


async def _one_more_dies(field: Field) -> str:
    """What comes up is not asked in which order: one that has just begun is killed, and is started again."""
    file = field.world.home / "run" / "children.json"
    role = field.chance.choice(("redis", "shop", "controller-1"))
    begun = field.now()
    file.unlink(missing_ok=True)
    while field.now() - begun < 30.0:
        with contextlib.suppress(OSError, ValueError, KeyError):
            os.kill(int(json.loads(file.read_text(encoding="utf-8"))[role]["pid"]), signal.SIGKILL)
            return role
        await asyncio.sleep(0.05)
    return "nobody"


async def _menu_with_a_fault(field: Field) -> str:
    """34: an operator saves a menu file with a mistake, mends it, and takes it away again."""
    folder = field.world.home / "flows"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    file = folder / "main.yaml"
    good = SAMPLE.read_text(encoding="utf-8")
    number = good.splitlines().index("  welcome:") + 1
    bad = good.replace("next: main", "next: nowhere", 1)
    standing = await field.standing(talking=0, waiting=0, menu=1)
    try:
        _save(file, bad)
        alarm = await field.alarm("menus", raised=True)
        health = await field.world.get("health")
        words = next(part["words"] for part in health["parts"] if part["name"] == "menus")
        line = next((int(w) for w in words.replace(":", " ").split() if w.isdigit()), 0)
        require(
            "main.yaml" in words and number <= line <= number + 4, f"the refusal does not name file and line: {words}"
        )
        fresh = await field.dial("menu")
        await field.hears(fresh, "welcome", within_s=5.0)
        await field.hears(fresh, "menu-main", within_s=10.0)
        require(standing.menu[0].state == "talking", "a caller in a menu was cut off")
        _save(file, good.replace("say: [welcome]", "say: [closed]"))
        cleared = await field.alarm("menus", raised=False)
        changed = await field.dial("menu")
        await field.hears(changed, "closed", within_s=5.0)
        require(standing.menu[0].state == fresh.state == "talking", "a caller in a menu was cut off")
    finally:
        _save(file, good)
        await asyncio.sleep(2.5)  # both controllers look once a second
        file.unlink()
    return (
        f"refused with «{words[:80]}» after {alarm:.1f} s; callers hear the old one; the mended one is "
        f"heard {cleared:.1f} s later"
    )


def _save(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    file.chmod(0o644)


async def _token_rotated(field: Field) -> str:
    """36: an integration's API token, with calls up. Both are good until the old one is taken back."""
    standing = await field.standing(talking=1, waiting=1, menu=0)
    admin = field.told()["admin"]["user"]
    begun = field.now()
    old = await _aftercall(field, "user", "token", admin, "--label", "till-yesterday")
    new = await _aftercall(field, "user", "token", admin, "--label", "from-today")
    for token in (old, new):
        await field.world.get("agents", token=token)
    await _aftercall(field, "user", "revoke", admin, "--label", "till-yesterday")
    taken_back = field.now()
    while True:
        try:
            await field.world.get("agents", token=old)
        except RuntimeError as error:
            require("401" in str(error), f"the old token is answered with {str(error)[:80]}")
            break
        require(field.now() - taken_back < 2.0 * FUSE + 1.0, "the old token is still good")
        await asyncio.sleep(0.1)
    refused = field.now() - taken_back
    await field.world.get("agents", token=new)
    require(all(call.state == "talking" for call in standing.all()), "somebody was cut off")
    return (
        f"both good for {taken_back - begun:.1f} s, the old one refused {refused:.1f} s after it was "
        f"taken back, no call dropped"
    )


async def _switch_passwords_rotated(field: Field) -> str:
    """36: the AMI passwords, with calls up. Links that stand go on; whoever logs in afterwards has the new ones."""
    standing = await field.standing(talking=1, waiting=1, menu=0)
    old, down, begun = field.told()["ami"]["password"], logged(field, "ami_link_down"), field.now()
    await _aftercall(field, "rotate")  # returns when the new are taken and the old are refused
    took = field.now() - begun
    require(field.told()["ami"]["password"] != old, "world.json still has the old password")
    require(logged(field, "ami_link_down") == down, "a link was lost")
    os.kill(field.told()["pids"]["controller"], signal.SIGKILL)
    standing.talking[0][0].hang_up()
    again, _ = await field.served(timeout_s=20.0)
    require(standing.waiting[0].state == again.state == "talking", "somebody was cut off")
    return f"new ones in force after {took:.1f} s, no link lost, no call dropped; a new controller logs in with them"


async def _aftercall(field: Field, *words: str) -> str:
    """A command of the product on this home; returns its last line."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", *words, "--home", str(field.world.home)),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    lines = said.decode("utf-8", "replace").strip().splitlines()
    require(process.returncode == 0 and bool(lines), f"aftercall {' '.join(words[:2])}: {' '.join(lines)[-200:]}")
    return lines[-1].strip()


DRILLS = (
    Drill(34, "menu published with a fault", "refused whole with file and line; the old version stays", _menu_with_a_fault,
          short=True),
    Drill(35, "power cut", "first call ≤ 60 s, no manual step, journals replayed", _power_cut, alone=True),
    Drill(36, "API token rotated", "both are good until the old one is taken back; no dropped call", _token_rotated),
    Drill(36, "AMI passwords rotated", "links go on, the old ones are refused; no dropped call", _switch_passwords_rotated,
          short=True),
)  # fmt: skip
