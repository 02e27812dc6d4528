"""`python -m app.server --home DIR --slot N [--roles A,B]`: a controller process, until SIGTERM (drains) or SIGINT (at once).

Started and supervised by the launcher, which reads `run/NAME-N.beat` (touched from this loop) and `run/NAME-N.ready` (what
it is now: standby, owner, draining); NAME is `controller`, or the roles when it has not all of them. Ends with 75 when
somebody else owns what was ours.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from app.loop import run
from app.roles import ALL, ROLES, parse, process_name
from app.stall import StallWatch
from app.wiring import Controller
from app.world.plan import WorldPlan, read_plan, write_private
from core import logs
from core.errors import AftercallError
from core.lease import LeaseLost
from core.settings import load_settings

BEAT_S = 0.5
STOP_S = 1.5
SUPERSEDED = 75


async def serve(plan: WorldPlan, home: Path, slot: int, roles: frozenset[str] = ALL) -> int:
    settings = load_settings(home / "aftercall.toml")
    logs.set_up(settings.log.level, settings.log.format)
    name = f"{process_name(roles)}-{slot}"
    ready_file, beat_file = plan.folders.run / f"{name}.ready", plan.folders.run / f"{name}.beat"
    controller = Controller(plan, settings, slot, roles)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_signal_handler(signal.SIGTERM, controller.drain)

    stall = StallWatch(late_s=BEAT_S + 1.0)

    async def beat() -> None:
        while True:
            beat_file.touch()
            stall.beat()
            await asyncio.sleep(BEAT_S)

    def told(state: str) -> None:
        if state == "standby":
            collect_from_here_on()
        write_private(ready_file, json.dumps({"state": state, "pid": os.getpid(), "slot": slot}))
        structlog.get_logger().info(f"controller_{state}", pid=os.getpid(), slot=slot)

    beat_file.touch()
    stall.start()
    async with asyncio.TaskGroup() as group:
        beating = group.create_task(beat())
        working = group.create_task(_until_superseded(controller, told))
        stopping = group.create_task(stop.wait())
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        superseded = working.done() and not working.cancelled() and working.exception() is None and working.result()
        tasks: list[asyncio.Task[Any]] = [beating, working, stopping]
        for task in tasks:
            task.cancel()
        _, late = await asyncio.wait(tasks, timeout=STOP_S)
        if late:
            _tell_what_hangs()
            for task in late:
                task.cancel()
    stall.stop()
    structlog.get_logger().info("controller_stopped")
    return SUPERSEDED if superseded else 0


async def _until_superseded(controller: Controller, told: Callable[[str], None]) -> bool:
    superseded = False
    try:
        await controller.run(told)
    except* LeaseLost:
        superseded = True
    return superseded


def collect_from_here_on() -> None:
    """What we are made of lives as long as we do: looking through it for garbage again and again stopped the loop, and every
    call with it, for 0.2 to 0.5 s. From now on only what came later is looked through, and less often."""
    gc.freeze()
    sys.setswitchinterval(0.0005)  # a thread that computes (rows, JSON) gives way to the loop sooner than after 5 ms
    gc.set_threshold(5000, 10, 10)
    gc.enable()


def _tell_what_hangs() -> None:
    """Whoever was cancelled and does not end is named in the log."""
    for task in asyncio.all_tasks():
        where = [f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}" for frame in task.get_stack()]
        structlog.get_logger().error("task_does_not_end", task=task.get_name(), of=str(task.get_coro()), where=where)


def _roles(text: str) -> frozenset[str]:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main() -> int:
    parser = argparse.ArgumentParser(prog="app.server")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--slot", type=int, choices=(1, 2), default=1)
    parser.add_argument("--roles", type=_roles, default=ALL, help=f"out of {','.join(ROLES)}; all when not given")
    given = parser.parse_args()
    gc.disable()  # until we serve: see `collect_from_here_on`
    faulthandler.register(signal.SIGUSR1)  # the stacks of a process that hangs, into its log
    try:
        return run(serve(read_plan(given.home), given.home, given.slot, given.roles))
    except AftercallError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
