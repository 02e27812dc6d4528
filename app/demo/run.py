"""`aftercall demo`: sets a world up, lets one real call happen in it, prints its timeline, and takes the world down.

On a terminal the world stays up afterwards, for a person to look around and to call in. Without one it ends by itself.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Any

from rich.console import Console

from app.demo.story import Story, lines
from app.demo.words import word_error_rate
from app.world.outside import OutsideWorld
from core.prompts.library import PromptLibrary
from recordings.model_install import InstallFailed, install
from recordings.models import SpeechModel, resolve


def run(*, as_json: bool = False, stay: bool | None = None) -> int:
    """Exit status: 0 when the whole call was told. `stay` None = stay when there is a terminal to stay on."""
    console = Console(stderr=as_json, highlight=False)
    stay = sys.stdin.isatty() and sys.stdout.isatty() and not as_json if stay is None else stay
    home = Path(tempfile.mkdtemp(prefix="aftercall-demo-"))
    try:
        _ensure_model(console)
        asyncio.run(_demo(home, console, as_json=as_json, stay=stay))
    except KeyboardInterrupt:
        console.print("stopped")
    except (TimeoutError, RuntimeError, ConnectionError, ExceptionGroup) as error:
        console.print(f"[red]The demo did not finish:[/red] {_words(error)}\nIts logs are in {home}/log")
        return 1
    shutil.rmtree(home, ignore_errors=True)
    return 0


def _ensure_model(console: Console) -> None:
    """The English speech model, fetched once. Without one the call is told all the same, and why it is not transcribed."""
    if isinstance(resolve("en"), SpeechModel):
        return
    console.print("  fetching the English speech model (once)")
    try:
        console.print(f"  speech model: {install('en').name}")
    except InstallFailed as error:
        console.print(f"  [yellow]{error}[/yellow]")


def _words(error: BaseException) -> str:
    if isinstance(error, ExceptionGroup):
        return "; ".join(_words(inner) for inner in error.exceptions)
    return str(error)


async def _demo(home: Path, console: Console, *, as_json: bool, stay: bool) -> None:
    async with OutsideWorld(home, echo=lambda text: console.print(f"  {text}", markup=False)) as world:
        console.print(f"the world is ready after {world.ready_s:.1f} s; one real call begins", style="bold")
        story = Story(world, lambda text: console.print(f"  {text}", markup=False), PromptLibrary())
        told = await story.tell()
        told["urls"] = {
            "console": world.facts["http"],
            "call": f"{world.facts['http']}/calls/{told['call_id']}",
            "audio": f"{world.facts['http']}/api/recordings/{told['call']['recording']['id']}/audio",
        }
        _report(console, told)
        if stay:
            await _stay(console, world, told)
        stopped_s = await world.stop()
        console.print(f"everything stopped in {stopped_s:.1f} s")
    told.pop("call")
    if as_json:
        print(json.dumps(told, ensure_ascii=False), flush=True)  # noqa: T201 (the last line is the promised object)


def _report(console: Console, told: dict[str, Any]) -> None:
    console.print("\nTimeline of the call, as the product recorded it", style="bold")
    first = None
    for event in told["call"]["timeline"]:
        first = first or event["at"]
        console.print(f"  {event['at'][11:23]}  {event['kind']:<20} {_detail(event)}", markup=False)
    transcript = told.get("transcript")
    if not transcript:
        console.print(f"\nnot transcribed: {told['call']['transcript']['reason']}")
        return
    console.print(f"\nTranscript ({transcript['model']})", style="bold")
    for turn in transcript["turns"]:
        console.print(f"  {turn['start_s']:6.2f} s  {turn['side']:<6} {turn['text']}", markup=False)
    rates = {}
    for side in ("caller", "agent"):
        spoken = [line.text for line in lines() if line.side == side]
        rates[side] = round(word_error_rate(spoken, [t["text"] for t in transcript["turns"] if t["side"] == side]), 3)
        console.print(f"  word error rate, {side}: {rates[side]:.1%}")
    told["transcript"]["word_error_rate"] = rates


def _detail(event: dict[str, Any]) -> str:
    return "  ".join(f"{key}={value}" for key, value in event["data"].items() if value not in ("", None, {}, []))


async def _stay(console: Console, world: OutsideWorld, told: dict[str, Any]) -> None:
    facts = world.facts
    sip, trunk, agent = facts["sip"], facts["trunk"], facts["agents"][1]
    console.print(f"\nThe world stays up. Console: {facts['http']}", style="bold")
    console.print(f"  log in as {facts['admin']['user']} with {facts['admin']['password']}", markup=False)
    console.print(f"  this call: {told['urls']['call']}", markup=False)
    console.print(f"  an agent's phone: account {agent['extension']}, password {agent['sip_password']}", markup=False)
    console.print(f"  a customer's phone: account {trunk['user']}, password {trunk['password']}", markup=False)
    console.print(
        f"  server {sip['host']}:{sip['port']} (UDP); dial {facts['dids']['menu']} for the menu", markup=False
    )
    console.print("  Ctrl-C ends it.")
    webbrowser.open(told["urls"]["call"])
    await asyncio.Event().wait()
