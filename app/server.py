"""`python -m app.server --home DIR`: the controller process, until SIGTERM.

Started and supervised by the launcher, which reads `run/controller.beat` (touched from this loop) and
`run/controller.ready`.
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
from pathlib import Path

import structlog

from app.wiring import Controller
from app.world.plan import WorldPlan, read_plan, write_private
from core import logs
from core.errors import AftercallError
from core.settings import load_settings

BEAT_S = 0.5
STOP_S = 1.5


async def serve(plan: WorldPlan, home: Path) -> None:
    settings = load_settings(home / "aftercall.toml")
    logs.set_up(settings.log.level, settings.log.format)
    ready_file, beat_file = plan.folders.run / "controller.ready", plan.folders.run / "controller.beat"
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    ready = asyncio.Event()

    async def beat() -> None:
        while True:
            beat_file.touch()
            await asyncio.sleep(BEAT_S)

    async def announce() -> None:
        await ready.wait()
        _collect_from_here_on()
        write_private(ready_file, json.dumps({"pids": {"controller": os.getpid()}}))
        structlog.get_logger().info("controller_ready", pid=os.getpid())

    beat_file.touch()
    controller = Controller(plan, settings)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in (beat(), announce(), controller.run(ready))]
        await stop.wait()
        for task in tasks:
            task.cancel()
        _, late = await asyncio.wait(tasks, timeout=STOP_S)
        if late:
            _tell_what_hangs()
            for task in late:
                task.cancel()
    structlog.get_logger().info("controller_stopped")


def _collect_from_here_on() -> None:
    """What we are made of lives as long as we do: looking through it for garbage again and again stopped the loop, and every
    call with it, for 0.2 to 0.5 s. From now on only what came later is looked through, and less often."""
    gc.freeze()
    gc.set_threshold(5000, 10, 10)
    gc.enable()


def _tell_what_hangs() -> None:
    """Whoever was cancelled and does not end is named in the log."""
    for task in asyncio.all_tasks():
        where = [f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}" for frame in task.get_stack()]
        structlog.get_logger().error("task_does_not_end", task=task.get_name(), of=str(task.get_coro()), where=where)


def main() -> int:
    parser = argparse.ArgumentParser(prog="app.server")
    parser.add_argument("--home", type=Path, required=True)
    home = parser.parse_args().home
    gc.disable()  # until we serve: see `_collect_from_here_on`
    faulthandler.register(signal.SIGUSR1)  # the stacks of a process that hangs, into its log
    try:
        asyncio.run(serve(read_plan(home), home))
    except AftercallError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
