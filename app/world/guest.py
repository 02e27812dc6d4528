"""Some roles of a world that another launcher brings about: one process with them, kept alive on the same home.

Starts no Asterisk, no Redis and no shop: their addresses and secrets stand in the home's plan. Invariants as the
launcher's: a silent loop is killed and started again; SIGTERM lets the process hand over and drain, a second one ends it.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from app.roles import ACD, process_name
from app.world import services
from app.world.children import Report, sweep
from app.world.controllers import Controllers
from app.world.notify import notify, watchdog
from app.world.plan import read_plan
from app.world.process import ProcessId, remember, remembered
from core.settings import Settings


class Guest:
    """`await run()` returns the exit status when it has ended."""

    def __init__(self, home: Path, settings: Settings, roles: frozenset[str], say: Report) -> None:
        self._settings, self._say = settings, say
        self._name = process_name(roles)
        self._children_file = home / "run" / f"children-{self._name}.json"
        plan = read_plan(home)
        slots = (1, 2) if settings.supervisor.standby and ACD in roles else (1,)
        specs = [services.controller_spec(plan, slot, roles) for slot in slots]
        self._kind = Controllers(
            plan.folders.run, specs, settings.supervisor, say, self._started, lambda: None, name=self._name
        )
        self._stop = asyncio.Event()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_stop)
        sweep(remembered(self._children_file), self._say)
        try:
            async with asyncio.TaskGroup() as group:
                for role in self._kind.children:
                    group.create_task(self._kind.run(role))
                watching = [group.create_task(work) for work in (self._kind.watch(), self._tell(), watchdog())]
                await self._stop.wait()
                for task in watching:
                    task.cancel()
                await self._end()
        finally:
            self._children_file.unlink(missing_ok=True)
            self._kind.clean()
        return 0

    async def _tell(self) -> None:
        await self._kind.owned()
        self._kind.all_may_start()
        notify(f"READY=1\nSTATUS={self._name} serves")
        self._say(f"{self._name} serves")
        await asyncio.get_running_loop().create_future()

    async def _end(self) -> None:
        """Asks them to hand over and to drain, then ends them."""
        notify("STOPPING=1")
        children = list(self._kind.children.values())
        for child in children:
            child.stopping = True
            child.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._settings.supervisor.drain_s + 5):
                await asyncio.gather(*(child.process.wait() for child in children if child.process is not None))
        except TimeoutError:
            self._say(f"{self._name} did not drain in time")
        await asyncio.gather(*(child.stop() for child in children))
        self._kind.all_may_start()

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():  # asked twice: no more patience
            for child in self._kind.children.values():
                child.kill()
        self._stop.set()

    def _started(self, _role: str, _pid: int) -> None:
        found = {name: ProcessId.of(child.pid) for name, child in self._kind.children.items()}
        remember(self._children_file, {name: known for name, known in found.items() if known is not None})
